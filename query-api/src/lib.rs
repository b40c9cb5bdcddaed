//! HTTP → [`Db`](silverback_engine::Db) → HTTP: the Graphite API, the node API and the admin API.
//!
//! It opens no data file and knows no carbon socket.
//!
//! | module | step |
//! |---|---|
//! | [`server`] | listener, routers, and the frame around every request |
//! | `patience` | a connection that is given up when its client takes nothing |
//! | [`request`] | one request as a handler sees it, and its answer |
//! | [`params`] | query string and body → parameters |
//! | [`time`] | times in parameters → Unix seconds |
//! | [`target`] | targets of a render → trees |
//! | `plan`, `source` | trees → patterns and ranges → series |
//! | `eval`, `functions` | trees and series → series |
//! | `origin` | which archives a series was made from |
//! | `consolidate`, `encode` | series → bytes |
//! | `stream`, `sequence` | bytes → body, written while it is sent, in parts at once or one by one |
//! | `parallel` | work on many series, shared with idle cores |
//! | [`api`], `budget` | what all requests share |
//! | [`stats`] | what one query took |
//! | [`routes`] | endpoints of the Graphite API |
//! | [`node`] | endpoints of the node API |
//! | [`admin`] | endpoints of the admin API |
//! | [`tag_expr`] | expressions over tags |
//! | `regex` | regular expressions as Python reads them |
//! | [`selection`] | globs and expressions over tags → series |
//! | [`refusal`] | why a request gets no answer, and with which status |
//! | [`counters`] | what was answered so far |

pub mod admin;
pub mod api;
mod budget;
mod consolidate;
pub mod counters;
mod encode;
mod eval;
mod functions;
mod gate;
mod listing;
pub mod node;
mod origin;
mod parallel;
pub mod params;
mod patience;
mod plan;
pub mod refusal;
mod regex;
pub mod request;
pub mod routes;
pub mod selection;
mod sequence;
mod series;
pub mod server;
mod source;
pub mod stats;
mod stream;
pub mod tag_expr;
pub mod target;
pub mod time;

pub use api::{Api, ApiOptions, Cors, Limits};
pub use refusal::Refusal;
pub use server::{admin_router, graphite_router, node_router, serve};

#[cfg(test)]
mod tests;
