//! The server from outside: the real binary, real sockets, raw bytes.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod backup;
mod backup_trouble;
mod bucket;
mod cli;
mod config;
mod database_commands;
mod disk_trouble;
mod folder;
mod grafana;
mod hostile;
mod ingest;
mod lost_names;
mod operator;
mod read_only;
mod rules;
mod serving;
mod stopping;
#[path = "../support/mod.rs"]
mod support;
mod whisper_commands;
mod whisper_store;
