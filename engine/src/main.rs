<<<<<<< HEAD
//! The `foreshock` binary.

=======
>>>>>>> 9b3e5e5842d3058ad5d0834b1d2868ead26860b7
fn main() {}
