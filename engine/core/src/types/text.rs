//! Names and values of a bounded length: what a producer writes stands in every anomaly, incident and signal that comes of it.

use std::borrow::Cow;

use super::hash::stable_hash;

/// Longest name of an entity, a metric or a version, and longest key or value of an attribute, bytes.
pub const MAX_NAME: usize = 1 << 10;
/// Most bytes of the attributes of one series, keys and values together.
pub const MAX_ATTRIBUTES: usize = 8 << 10;
/// Key of the attribute that stands for those that had no room.
const REST: &str = "…";
/// Bytes of the ellipsis and the hash at the end of a text that was cut.
const MARK: usize = "…00000000".len();

/// The text, or its beginning with an ellipsis and a hash of the whole, so that different texts stay different. `most` is the most
/// bytes of what comes out, at least 11.
///
/// ```
/// use foreshock_core::types::cut;
/// assert_eq!(cut("checkout", 20), "checkout");
/// assert_eq!(cut(&"checkout".repeat(9), 20), "checkoutc…22bde2b5");
/// ```
pub fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let kept = &text[..text.floor_char_boundary(most.saturating_sub(MARK))];
    Cow::Owned(format!("{kept}…{:08x}", stable_hash(text.as_bytes()) as u32))
}

/// Cuts a name in place.
pub fn cut_name(name: &mut String) {
    if let Cow::Owned(short) = cut(name, MAX_NAME) {
        *name = short;
    }
}

/// The attributes in order of their keys, each cut to `name` bytes, as many as fit into `all` bytes; one more stands for the rest.
pub fn cut_attributes(
    mut attributes: Vec<(String, String)>,
    name: usize,
    all: usize,
) -> Vec<(String, String)> {
    attributes.sort();
    let (mut kept, mut bytes, mut rest) = (Vec::new(), 0, None);
    for (key, value) in attributes {
        let (key, value) = (cut(&key, name), cut(&value, name));
        bytes += key.len() + value.len();
        if bytes <= all {
            kept.push((key.into_owned(), value.into_owned()));
        } else {
            let (so_far, pair) = (rest.unwrap_or(0), stable_hash(format!("{key}={value}").as_bytes()));
            rest = Some(stable_hash(&[so_far, pair].map(u64::to_le_bytes).concat()));
        }
    }
    kept.extend(rest.map(|rest| (REST.to_string(), format!("{rest:016x}"))));
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_stays_and_what_is_long_stays_different() {
        assert_eq!(cut("checkout", 20), "checkout");
        let (one, other) = ("é".repeat(600) + "a", "é".repeat(600) + "b");
        let (one, other) = (cut(&one, MAX_NAME), cut(&other, MAX_NAME));
        assert!(one.len() <= MAX_NAME && one.len() > MAX_NAME - 4, "{}", one.len());
        assert_ne!(one, other);
        assert_eq!(cut(&one, MAX_NAME), one);
    }

    #[test]
    fn attributes_that_have_no_room_are_told_apart() {
        let many = |last: &str| {
            let mut all: Vec<(String, String)> =
                (0..1000).map(|i| (format!("key{i:04}"), "value".repeat(10))).collect();
            all.push(("last".to_string(), last.to_string()));
            all
        };
        let bounded = |last| cut_attributes(many(last), MAX_NAME, MAX_ATTRIBUTES);
        let (one, other) = (bounded("a"), bounded("b"));
        let bytes: usize = one.iter().map(|(key, value)| key.len() + value.len()).sum();
        assert!((MAX_ATTRIBUTES - 100..MAX_ATTRIBUTES + 100).contains(&bytes), "{bytes}");
        assert_ne!(one, other);
        assert_eq!(one[..one.len() - 1], other[..other.len() - 1]);
        let mut turned = many("a");
        turned.reverse();
        assert_eq!(cut_attributes(turned, MAX_NAME, MAX_ATTRIBUTES), one);
        let few = vec![("a".to_string(), "1".to_string())];
        assert_eq!(cut_attributes(few.clone(), MAX_NAME, MAX_ATTRIBUTES), few);
    }
}
