//! The arithmetic that the detectors share: bodies with fixed lanes, free of branches and of libm.
//!
//! | file | what |
//! |---|---|
//! | `math.rs` | our own exp, ln and Gamma ratio, equal to the bit on every machine |

pub(crate) mod math;
