//! The `silverback` program.
fn main() {}
