//! The store from outside: what is appended is found, whatever happens in between.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod archives;
mod basics;
mod cleanup;
mod compact;
mod damage;
mod delete;
mod each_failure;
mod events;
mod expiry;
mod extra_roll_ups;
mod faults;
mod half_snapshots;
mod import;
mod import_deleted;
mod import_folder;
mod index_file;
mod left_behind;
mod like_whisper;
mod lost_names;
mod migrate;
mod model;
mod power_cut;
mod probe;
mod races;
mod roll_ups;
mod rules;
mod snapshot;
mod steps;
mod support;
mod tags_file;
mod unreadable;
mod whisper;
mod whisper_disk;
mod whisper_waits;
