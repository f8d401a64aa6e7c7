//! A template's syntax tree, walked once: how deep it is, how large its values become, and how much work it is.

mod expressions;

use minijinja::machinery::{
    Span,
    ast::{self, Expr, Stmt},
};

use super::{
    FUEL, LARGEST, LONGEST_OUTPUT, MOST_WORK, REFERENCE, Refused, filters,
    size::{ITEM, Kind, Linear, Size},
};

/// Deepest nesting of expressions and blocks. Chosen: more than people write, and an eighth of what the stack of a thread carries.
const DEEPEST: usize = 100;
/// Loops within one another: each is walked twice.
const LOOPS: usize = 5;
/// Steps that one time around a loop takes at least.
const STEPS: u64 = 3;

/// What a template takes at most.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bounds {
    /// Bytes of its values at any one time.
    pub(super) memory: Linear,
    /// Work of all that stands outside of loops, in bytes that are read and written.
    pub(super) once: Linear,
    /// Work of the heaviest step within loops.
    pub(super) step: Linear,
}

/// Names and what they stand for, the innermost block last.
type Scope<'a, 's> = Vec<(&'a str, Size<'s>)>;

/// The state of the walk.
pub(super) struct Walk<'a, 's> {
    scopes: Vec<Scope<'a, 's>>,
    depth: usize,
    loops: usize,
    /// Bytes that names hold.
    held: Linear,
    /// Bytes that the present statement makes.
    made: Linear,
    pub(super) bounds: Bounds,
}

type Walked<T = ()> = Result<T, Refused>;

impl<'a, 's> Walk<'a, 's> {
    /// A walk of a template that knows these names.
    pub(super) fn new(known: Scope<'a, 's>) -> Walk<'a, 's> {
        Walk {
            scopes: vec![known],
            depth: 0,
            loops: 0,
            held: Linear::ZERO,
            made: Linear::ZERO,
            bounds: Bounds::default(),
        }
    }

    /// Walks a template, or a statement in it.
    pub(super) fn statement(&mut self, statement: &Stmt<'a>) -> Walked {
        self.made = Linear::ZERO;
        match statement {
            Stmt::Template(template) => self.body(&template.children, template.span()),
            Stmt::EmitRaw(_) => Ok(()),
            Stmt::EmitExpr(emit) => self.expression(&emit.expr).map(drop),
            Stmt::ForLoop(each) => self.for_loop(each, each.span()),
            Stmt::IfCond(condition) => {
                self.expression(&condition.expr)?;
                self.body(&condition.true_body, condition.span())?;
                self.body(&condition.false_body, condition.span())
            }
            Stmt::WithBlock(with) => {
                let before = self.held;
                self.scopes.push(Scope::new());
                for (target, value) in &with.assignments {
                    self.assign(target, value)?;
                }
                self.body(&with.body, with.span())?;
                self.scopes.pop();
                self.held = before;
                Ok(())
            }
            Stmt::Set(set) => self.assign(&set.target, &set.expr),
            Stmt::SetBlock(set) => {
                let captured = self.captured(&set.body, set.span())?;
                let size = match &set.filter {
                    Some(filter) => self.filtered(filter, &captured)?,
                    None => captured,
                };
                self.hold(set.span())?;
                self.bind(&set.target, size)
            }
            Stmt::AutoEscape(block) => {
                self.expression(&block.enabled)?;
                self.body(&block.body, block.span())
            }
            Stmt::FilterBlock(block) => {
                let captured = self.captured(&block.body, block.span())?;
                self.filtered(&block.filter, &captured).map(drop)
            }
            Stmt::Do(action) => self.call(&action.call, action.span()).map(drop),
        }
    }

    fn body(&mut self, body: &[Stmt<'a>], span: Span) -> Walked {
        self.deeper(span, |walk| body.iter().try_for_each(|statement| walk.statement(statement)))
    }

    /// What an output block writes into a text: what is inserted is bounded as the output is, and what stands in it is known.
    fn captured(&mut self, body: &[Stmt<'a>], span: Span) -> Walked<Size<'s>> {
        self.body(body, span)?;
        let (plain, repeated) = raw(body, self.loops > 0);
        let raw = plain.saturating_add(repeated.saturating_mul(FUEL / STEPS));
        let text = Size::text(Linear::fixed(raw.saturating_add(LONGEST_OUTPUT as u64)));
        let size = Size { is_safe: true, ..text };
        self.make(size.weight(), span)?;
        Ok(size)
    }

    fn for_loop(&mut self, each: &ast::ForLoop<'a>, span: Span) -> Walked {
        if each.recursive {
            return Err(refused(span, "a recursive loop is not possible here"));
        }
        if self.loops == LOOPS {
            return Err(refused(
                span,
                &format!("stands in more than {LOOPS} loops: put fewer into one another"),
            ));
        }
        let before = self.held;
        let of = self.expression(&each.iter)?;
        // Maps, and what a filter lets through, are walked by a list.
        self.make(of.walked().times(ITEM), span)?;
        self.hold(span)?;
        self.loops += 1;
        let around =
            Size { kind: Kind::Loop, ..of.clone() }.and(&Size { kind: Kind::Loop, ..Size::number() });
        self.scopes.push(vec![("loop", around)]);
        self.bind(&each.target, filters::item(&of))?;
        let start = self.held;
        let once = self.round(each, span)?;
        self.held = start;
        let twice = self.round(each, span)?;
        // What a round leaves in its names, the next one finds.
        for ((name, before), (_, after)) in once.iter().zip(&twice) {
            let is_more = before.weight().max(after.weight()) != before.weight();
            if is_more || after.levels > before.levels {
                let why = format!("{name} grows with every round of this loop: set it anew, without itself");
                return Err(refused(span, &why));
            }
        }
        self.scopes.pop();
        self.loops -= 1;
        self.held = before;
        self.body(&each.else_body, span)
    }

    /// Goes around a loop once; the names that it has set.
    fn round(&mut self, each: &ast::ForLoop<'a>, span: Span) -> Walked<Scope<'a, 's>> {
        if let Some(filter) = &each.filter_expr {
            self.expression(filter)?;
        }
        self.body(&each.body, span)?;
        Ok(self.scopes.last().cloned().unwrap_or_default())
    }

    fn assign(&mut self, target: &Expr<'a>, value: &Expr<'a>) -> Walked {
        self.made = Linear::ZERO;
        let size = self.expression(value)?;
        self.hold(target.span())?;
        self.bind(target, size)
    }

    /// From here on the name, or the names, stand for such a value.
    fn bind(&mut self, target: &Expr<'a>, size: Size<'s>) -> Walked {
        match target {
            Expr::Var(name) => {
                let scope = self.scopes.last_mut();
                match scope.and_then(|scope| scope.iter_mut().find(|(known, _)| *known == name.id)) {
                    // It may stand in a branch that is not taken.
                    Some((_, old)) => *old = old.clone().or(size),
                    None => self
                        .scopes
                        .last_mut()
                        .into_iter()
                        .for_each(|scope| scope.push((name.id, size.clone()))),
                }
                Ok(())
            }
            Expr::List(names) => {
                names.items.iter().try_for_each(|name| self.bind(name, filters::item(&size)))
            }
            Expr::GetAttr(_) if size.kind == Kind::Number => Ok(()),
            other => Err(refused(
                other.span(),
                "a namespace holds numbers and truth values only: a text in it could grow without end",
            )),
        }
    }

    /// The size of what an expression gives.
    fn expression(&mut self, expression: &Expr<'a>) -> Walked<Size<'s>> {
        self.deeper(expression.span(), |walk| walk.part(expression))
    }

    /// A value of this size, so many bytes of it new, and the work that it was.
    fn give(&mut self, size: Size<'s>, new: Linear, work: Linear, span: Span) -> Walked<Size<'s>> {
        self.make(new, span)?;
        if size.levels > DEEPEST {
            return Err(refused(span, &format!("lists and maps nest deeper than {DEEPEST}")));
        }
        self.count(work.plus(new), span)?;
        Ok(size)
    }

    fn make(&mut self, new: Linear, span: Span) -> Walked {
        self.made = self.made.plus(new);
        let all = self.held.plus(self.made);
        if all.at(&REFERENCE) > LARGEST {
            let why = format!("could become larger than {} MiB: repeat and join less", LARGEST >> 20);
            return Err(refused(span, &why));
        }
        self.bounds.memory = self.bounds.memory.max(all);
        Ok(())
    }

    fn count(&mut self, work: Linear, span: Span) -> Walked {
        if self.loops > 0 {
            self.bounds.step = self.bounds.step.max(work);
            return Ok(());
        }
        self.bounds.once = self.bounds.once.plus(work);
        if self.bounds.once.at(&REFERENCE) > MOST_WORK {
            return Err(refused(span, "is too much work with all before it: do less with long texts"));
        }
        Ok(())
    }

    /// Keeps what was made for a name.
    fn hold(&mut self, span: Span) -> Walked {
        self.held = self.held.plus(std::mem::take(&mut self.made));
        self.make(Linear::ZERO, span)
    }

    fn deeper<T>(&mut self, span: Span, walk: impl FnOnce(&mut Self) -> Walked<T>) -> Walked<T> {
        if self.depth == DEEPEST {
            return Err(refused(
                span,
                &format!("nests deeper than {DEEPEST}: use fewer operators and brackets in one expression"),
            ));
        }
        self.depth += 1;
        let walked = walk(self)?;
        self.depth -= 1;
        Ok(walked)
    }
}

/// Bytes of plain text in a body: outside of loops, and within.
fn raw(body: &[Stmt<'_>], is_repeated: bool) -> (u64, u64) {
    let add = |(a, b): (u64, u64), (c, d): (u64, u64)| (a.saturating_add(c), b.saturating_add(d));
    let of = |statement: &Stmt<'_>| match statement {
        Stmt::EmitRaw(text) if is_repeated => (0, text.raw.len() as u64),
        Stmt::EmitRaw(text) => (text.raw.len() as u64, 0),
        Stmt::ForLoop(each) => add(raw(&each.body, true), raw(&each.else_body, is_repeated)),
        Stmt::IfCond(choice) => {
            add(raw(&choice.true_body, is_repeated), raw(&choice.false_body, is_repeated))
        }
        Stmt::WithBlock(with) => raw(&with.body, is_repeated),
        Stmt::AutoEscape(block) => raw(&block.body, is_repeated),
        _ => (0, 0),
    };
    body.iter().map(of).fold((0, 0), add)
}

fn refused(span: Span, problem: &str) -> Refused {
    Refused {
        line: span.start_line.into(),
        column: usize::from(span.start_col) + 1,
        problem: problem.to_string(),
    }
}
