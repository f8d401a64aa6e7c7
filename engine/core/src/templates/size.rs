//! How large a value of a template can become: an upper bound that is linear in what is known of the values that it is filled from.

use minijinja::Value;

/// Bytes that the text of a number takes: the largest double has 309 digits before the point.
const NUMBER: u64 = 400;
/// Bytes that a value takes in a list.
pub(super) const ITEM: u64 = 32;
/// Levels of lists and maps in the values that templates are filled from.
const CONTEXT_LEVELS: usize = 16;

/// What is known of the values that a template is filled from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// Bytes of the longest text.
    pub(super) text: u64,
    /// Bytes of all as JSON.
    pub(super) whole: u64,
    /// Values in all of it: lists, maps, and what is in them.
    pub(super) values: u64,
}

impl Extent {
    /// The extent of these values.
    pub(super) fn of(value: &serde_json::Value) -> Extent {
        let mut extent = Extent { text: 0, whole: value.to_string().len() as u64, values: 0 };
        extent.add(value);
        extent
    }

    fn add(&mut self, value: &serde_json::Value) {
        self.values += 1;
        match value {
            serde_json::Value::String(text) => self.text = self.text.max(text.len() as u64),
            serde_json::Value::Array(items) => items.iter().for_each(|item| self.add(item)),
            serde_json::Value::Object(entries) => {
                for (key, value) in entries {
                    self.text = self.text.max(key.len() as u64);
                    self.add(value);
                }
            }
            _ => {}
        }
    }
}

/// A number that grows with the extent of the values: at most `fixed + texts · text + wholes · whole + values · values`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Linear {
    fixed: u64,
    texts: u64,
    wholes: u64,
    values: u64,
}

impl Linear {
    pub(super) const ZERO: Linear = Linear::fixed(0);
    pub(super) const NUMBER: Linear = Linear::fixed(NUMBER);
    pub(super) const UNBOUNDED: Linear = Linear::fixed(u64::MAX);

    pub(super) const fn fixed(fixed: u64) -> Linear {
        Linear { fixed, texts: 0, wholes: 0, values: 0 }
    }

    pub(super) fn at(self, extent: &Extent) -> u64 {
        self.fixed
            .saturating_add(self.texts.saturating_mul(extent.text))
            .saturating_add(self.wholes.saturating_mul(extent.whole))
            .saturating_add(self.values.saturating_mul(extent.values))
    }

    pub(super) fn plus(self, other: Linear) -> Linear {
        self.with(other, u64::saturating_add)
    }

    pub(super) fn max(self, other: Linear) -> Linear {
        self.with(other, u64::max)
    }

    pub(super) fn times(self, count: u64) -> Linear {
        self.with(Linear { fixed: count, texts: count, wholes: count, values: count }, u64::saturating_mul)
    }

    /// Rounded up.
    pub(super) fn divided(self, count: u64) -> Linear {
        let by = Linear { fixed: count, texts: count, wholes: count, values: count };
        self.with(by, |number, count| number.div_ceil(count))
    }

    /// A product is linear only if one side is fixed.
    pub(super) fn by(self, other: Linear) -> Linear {
        match (self, other) {
            (Linear { fixed, texts: 0, wholes: 0, values: 0 }, by)
            | (by, Linear { fixed, texts: 0, wholes: 0, values: 0 }) => by.times(fixed),
            _ => Linear::UNBOUNDED,
        }
    }

    fn with(self, other: Linear, combine: fn(u64, u64) -> u64) -> Linear {
        Linear {
            fixed: combine(self.fixed, other.fixed),
            texts: combine(self.texts, other.texts),
            wholes: combine(self.wholes, other.wholes),
            values: combine(self.values, other.values),
        }
    }
}

/// What a value can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A number or a truth value.
    Number,
    Text,
    /// A list or a map.
    List,
    /// `loop`.
    Loop,
    /// `namespace()`, which holds numbers.
    Namespace,
    Any,
}

/// An upper bound for a value.
#[derive(Clone, Debug)]
pub(super) struct Size<'s> {
    /// Bytes of its texts.
    pub(super) bytes: Linear,
    /// Values in it.
    pub(super) items: Linear,
    pub(super) kind: Kind,
    /// Lists and maps within one another.
    pub(super) levels: usize,
    /// It may be marked as escaped: what is put into it is escaped then.
    pub(super) is_safe: bool,
    /// Its JSON Schema, where it comes from what has one.
    pub(super) shape: Option<Shape<'s>>,
    /// The value itself, where the template says it.
    pub(super) literal: Option<Value>,
}

impl<'s> Size<'s> {
    pub(super) fn new(kind: Kind, bytes: Linear, items: Linear) -> Size<'s> {
        Size {
            bytes,
            items,
            kind,
            levels: usize::from(kind == Kind::List),
            is_safe: false,
            shape: None,
            literal: None,
        }
    }

    pub(super) fn nothing() -> Size<'s> {
        Size::new(Kind::Any, Linear::ZERO, Linear::ZERO)
    }

    pub(super) fn number() -> Size<'s> {
        Size::new(Kind::Number, Linear::NUMBER, Linear::ZERO)
    }

    pub(super) fn text(bytes: Linear) -> Size<'s> {
        Size::new(Kind::Text, bytes, Linear::ZERO)
    }

    /// A text of the values that a template is filled from.
    pub(super) fn known_text() -> Size<'s> {
        Size::text(Linear { texts: 1, ..Linear::ZERO })
    }

    /// Any part of the values that a template is filled from.
    pub(super) fn known(shape: Shape<'s>) -> Size<'s> {
        let size = match shape.kind() {
            Kind::Number => Size::number(),
            Kind::Text => Size::known_text(),
            kind => {
                let bytes = Linear { wholes: 1, ..Linear::ZERO };
                let items = Linear { values: 1, ..Linear::ZERO };
                Size { levels: CONTEXT_LEVELS, ..Size::new(kind, bytes, items) }
            }
        };
        Size { shape: Some(shape), ..size }
    }

    pub(super) fn literal(value: &Value) -> Size<'s> {
        let size = match value.as_str() {
            Some(text) => Size::text(Linear::fixed(text.len() as u64)),
            None if matches!(
                value.kind(),
                minijinja::value::ValueKind::Seq | minijinja::value::ValueKind::Map
            ) =>
            {
                let text = value.to_string().len() as u64;
                Size { levels: 2, ..Size::new(Kind::List, Linear::fixed(text), Linear::fixed(text)) }
            }
            None => Size::number(),
        };
        Size { literal: Some(value.clone()), ..size }
    }

    /// As a text: strings within lists are written with escapes, 6 bytes at most for one, and quotes, commas and spaces.
    pub(super) fn as_text(&self) -> Linear {
        match self.kind {
            Kind::Text | Kind::Number => self.bytes,
            _ => self.bytes.times(6).plus(self.items.times(16)).plus(Linear::fixed(16)),
        }
    }

    /// Values in it when it is walked: of a text, its characters.
    pub(super) fn walked(&self) -> Linear {
        match self.kind {
            Kind::Number => Linear::ZERO,
            Kind::Text => self.bytes,
            Kind::Any => self.items.plus(self.bytes),
            _ => self.items,
        }
    }

    /// Bytes that it takes.
    pub(super) fn weight(&self) -> Linear {
        self.bytes.plus(self.items.times(ITEM))
    }

    /// A value that can be either.
    pub(super) fn or(self, other: Size<'s>) -> Size<'s> {
        Size {
            bytes: self.bytes.max(other.bytes),
            items: self.items.max(other.items),
            kind: if self.kind == other.kind { self.kind } else { Kind::Any },
            levels: self.levels.max(other.levels),
            is_safe: self.is_safe || other.is_safe,
            shape: self.shape.filter(|shape| Some(*shape) == other.shape),
            literal: None,
        }
    }

    /// A value that holds both.
    pub(super) fn and(&self, other: &Size<'s>) -> Size<'s> {
        Size {
            bytes: self.bytes.plus(other.bytes),
            items: self.items.plus(other.items),
            kind: if self.kind == other.kind { self.kind } else { Kind::Any },
            levels: self.levels.max(other.levels),
            is_safe: self.is_safe || other.is_safe,
            shape: None,
            literal: None,
        }
    }

    /// The literal number, if it is one from 0 on.
    pub(super) fn count(&self) -> Option<u64> {
        self.literal.clone().and_then(|value| u64::try_from(value).ok())
    }
}

/// A part of a JSON Schema.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape<'s> {
    root: &'s serde_json::Value,
    at: &'s serde_json::Value,
}

impl PartialEq for Shape<'_> {
    fn eq(&self, other: &Shape<'_>) -> bool {
        std::ptr::eq(self.at, other.at)
    }
}

impl<'s> Shape<'s> {
    pub(super) fn new(root: &'s serde_json::Value) -> Shape<'s> {
        Shape { root, at: root }
    }

    /// Goes to what it refers to, and to the only variant that is not null.
    fn resolved(self) -> Shape<'s> {
        let mut at = self.at;
        // More would be a circle.
        for _ in 0..8 {
            let variants = at["anyOf"].as_array().into_iter().flatten();
            let mut variants = variants.filter(|variant| variant["type"] != "null");
            let only = variants.next().filter(|_| variants.next().is_none());
            let reference = at["$ref"].as_str().and_then(|to| self.root.pointer(to.strip_prefix('#')?));
            match reference.or(only) {
                Some(next) => at = next,
                None => break,
            }
        }
        Shape { at, ..self }
    }

    fn kind(self) -> Kind {
        let at = self.resolved().at;
        let variants = at["oneOf"].as_array().into_iter().flatten();
        let types = variants.map(|variant| &variant["type"]).chain([&at["type"]]);
        let types = types.flat_map(|kind| match kind {
            serde_json::Value::Array(kinds) => kinds.iter().collect(),
            kind => vec![kind],
        });
        let kinds = types.filter_map(|kind| match kind.as_str()? {
            "null" => None,
            "string" => Some(Kind::Text),
            "number" | "integer" | "boolean" => Some(Kind::Number),
            "array" | "object" => Some(Kind::List),
            _ => Some(Kind::Any),
        });
        kinds.reduce(|a, b| if a == b { a } else { Kind::Any }).unwrap_or(Kind::Any)
    }

    /// The schema of a field of a map.
    pub(super) fn field(self, name: &str) -> Option<Shape<'s>> {
        let of = self.resolved();
        let field = of.at["properties"].get(name).or_else(|| of.at.get("additionalProperties"))?;
        field.is_object().then_some(Shape { at: field, ..of })
    }

    /// The schema of the items of a list.
    pub(super) fn item(self) -> Option<Shape<'s>> {
        let of = self.resolved();
        let item = of.at.get("items")?;
        item.is_object().then_some(Shape { at: item, ..of })
    }
}
