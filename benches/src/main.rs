//! `silverback-bench`.
fn main() {}
