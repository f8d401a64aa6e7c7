//! A node of a tree in one word: its cut above, its feature below.
//!
//! A cut is kept as an unsigned number that orders as the floats do, so that one comparison of words tells the
//! side: floats cost two more steps on the way to a flag, and the walk is a chain of such steps.

/// Room for a feature's number below the cut.
const FEATURE_BITS: u32 = 32;

/// A number in which values order as they do as floats; −0 and 0 are one.
pub(crate) fn key(value: f32) -> u32 {
    let bits = (value + 0.0).to_bits();
    bits ^ (((bits as i32 >> 31) as u32) | 0x8000_0000)
}

/// A node; a row goes right when its value is above the cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Node(u64);

impl Node {
    /// Where a branch has ended: no value is above it.
    pub(crate) fn end() -> Self {
        Self::new(0, f32::INFINITY)
    }

    pub(crate) fn new(feature: u8, cut: f32) -> Self {
        Self(u64::from(key(cut)) << FEATURE_BITS | u64::from(feature))
    }

    pub(crate) fn feature(self) -> u8 {
        self.0 as u8
    }

    /// The cut's key.
    pub(crate) fn key(self) -> u32 {
        (self.0 >> FEATURE_BITS) as u32
    }

    pub(crate) fn cut(self) -> f32 {
        let key = self.key();
        f32::from_bits(key ^ (!((key as i32 >> 31) as u32) | 0x8000_0000))
    }

    pub(crate) fn ended(self) -> bool {
        self == Self::end()
    }

    /// Whether a value, as a [`word`], is above the cut.
    pub(crate) fn below(self, word: u64) -> bool {
        self.0 < word
    }
}

/// A value as nodes are compared with: above a node of the same cut, whatever its feature, it is not.
pub(crate) fn word(value: f32) -> u64 {
    u64::from(key(value)) << FEATURE_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_order_as_floats_do() {
        let values = [f32::NEG_INFINITY, -1e9, -1.5, -1e-40, -0.0, 0.0, 1e-40, 1.5, 1e9, f32::INFINITY];
        for cut in values {
            for feature in [0, 7, 255] {
                let node = Node::new(feature, cut);
                assert_eq!((node.feature(), node.cut()), (feature, cut + 0.0));
                for value in values {
                    assert_eq!(node.below(word(value)), value > cut, "{value} against {cut}");
                }
            }
        }
        assert!(Node::end().ended() && !Node::new(0, 1e9).ended());
    }
}
