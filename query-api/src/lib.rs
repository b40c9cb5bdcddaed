//! HTTP → [`Db`](silverback_engine::Db) → HTTP: the Graphite API and the node API.
//!
//! It opens no data file and knows no carbon socket.
//!
//! | module | step |
//! |---|---|
//! | [`params`] | query string and body → parameters |
//! | [`api`] | what all requests share |

pub mod api;
pub mod params;

pub use api::{Api, Limits};
