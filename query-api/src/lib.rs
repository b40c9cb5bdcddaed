//! HTTP → [`Db`](silverback_engine::Db) → HTTP: the Graphite API and the node API.
//!
//! It opens no data file and knows no carbon socket.
//!
//! | module | step |
//! |---|---|
//! | [`server`] | listener, routers, and the frame around every request |
//! | [`request`] | one request as a handler sees it, and its answer |
//! | [`params`] | query string and body → parameters |
//! | [`api`] | what all requests share |
//! | [`routes`] | endpoints of the Graphite API |
//! | [`node`] | endpoints of the node API |
//! | [`tag_expr`] | expressions over tags |
//! | [`refusal`] | why a request gets no answer, and with which status |
//! | [`counters`] | what was answered so far |

pub mod api;
pub mod counters;
mod gate;
mod listing;
pub mod node;
pub mod params;
pub mod refusal;
pub mod request;
pub mod routes;
pub mod server;
pub mod tag_expr;

pub use api::{Api, ApiOptions, Cors, Limits};
pub use refusal::Refusal;
pub use server::{graphite_router, node_router, serve};

#[cfg(test)]
mod tests;
