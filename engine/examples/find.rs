//! Finds names by pattern.
//!
//! `cargo run -p silverback-engine --example find ['PATTERN']`, by default `servers.*.cpu.{user,system}`

#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use silverback_engine::storage::MemoryStorage;
use silverback_engine::{Db, Dialect, FindLimits, NodeKind, Options, Point};
use std::error::Error;
use std::sync::Arc;

fn main() -> Result<(), Box<dyn Error>> {
    let pattern = std::env::args().nth(1);
    let pattern = pattern.as_deref().unwrap_or("servers.*.cpu.{user,system}");

    // In memory: nothing is left behind.
    let options = Options { storage: Arc::new(MemoryStorage::new()), ..Options::new("example") };
    let db = Db::open(options)?;
    for host in ["web01", "web02", "db01"] {
        for metric in ["cpu.user", "cpu.system", "cpu.idle", "load"] {
            let name = format!("servers.{host}.{metric}");
            db.append(&[Point { name: name.as_bytes(), time_s: db.now_s(), value: 1.0 }])?;
        }
    }

    let limits = FindLimits { nodes: Some(1000), ..FindLimits::default() };
    for found in db.find(pattern.as_bytes(), Dialect::Graphite, &limits)? {
        let kind = match found.kind {
            NodeKind::Leaf(_) => "series",
            NodeKind::Directory => "directory",
        };
        println!("{kind:9}  {}", String::from_utf8_lossy(&found.path));
    }
    Ok(())
}
