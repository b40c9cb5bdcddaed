//! The Silverback server: wiring of the engine, the receivers and the HTTP APIs.
//!
//! It knows configuration, signals and log files, which the crates below do not; and it
//! knows nothing of points, names or queries, which they do.
//!
//! | module | step |
//! |---|---|
//! | [`flags`] | command line → what to do |
//! | [`commands`] | doing it: print, check, serve |
//! | [`config`] | files → [`Config`] |
//! | [`logging`] | events → log lines |
//! | [`server`] | configuration → listeners, database, tasks; and back to nothing |
//! | [`signals`] | signals → requests to stop or reload |
//! | [`self_metrics`] | the server's own counters → its own database |

pub mod commands;
pub mod config;
pub mod flags;
pub mod logging;
pub mod self_metrics;
pub mod server;
pub mod signals;

pub use config::Config;
pub use server::Server;
