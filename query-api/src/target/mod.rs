//! Targets: the expressions of a render request, from text to a tree.
//!
//! ```text
//! text ──lexer──► words, strings ──parser──► Expr ──template──► Expr without templates
//! ```
//!
//! The grammar is graphite-web's, read strictly: text after a complete target and calls that
//! do not close are errors that name the position, where graphite-web answers something else
//! than what was asked. Three things go beyond it: calls with keywords only, keywords after
//! nothing in a pipe, and characters outside ASCII in paths.

mod ast;
mod lexer;
mod parser;
mod template;

pub use ast::{Argument, ArgumentValue, Expr, Literal};
pub use parser::{DEPTH_MAX, LENGTH_BYTES_MAX, ParseError, parse, tag_expressions};
pub use template::{TemplateError, resolve};
