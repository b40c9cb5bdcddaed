//! The whole engine in one thread, over a simulated disk and clock: random operations, crashes and
//! faults from a seed, compared with a plain model after each restart and in between.
//!
//! A run is the same each time for the same seed. `SILVERBACK_SIMULATION_SEEDS` says how many are
//! tried, `SILVERBACK_SIMULATION_SEED` tries one and prints what it does.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod model;
mod rng;
mod world;

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use world::World;

/// Seeds that are tried when nothing is said.
const SEEDS: u64 = 1000;
/// Operations before a failure that are printed.
const TOLD: usize = 40;

fn number(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is {value}, which is no number")))
}

/// What is wrong with one run, and what was done before.
fn run(seed: u64) -> Result<Vec<String>, (String, Vec<String>)> {
    let mut world = World::new(seed);
    match catch_unwind(AssertUnwindSafe(|| world.run())) {
        Ok(Ok(())) => Ok(world.trace),
        Ok(Err(wrong)) => Err((wrong, world.trace)),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err((format!("panic: {}", text.unwrap_or("?")), world.trace))
        }
    }
}

fn failure(seed: u64, wrong: &str, trace: &[String]) -> String {
    let from = trace.len().saturating_sub(TOLD);
    format!(
        "seed {seed}: {wrong}\nlast operations:\n  {}\nagain: SILVERBACK_SIMULATION_SEED={seed} \
         cargo test -p silverback-engine --test simulation -- --nocapture",
        trace[from..].join("\n  ")
    )
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_made_up() {
    if let Some(seed) = number("SILVERBACK_SIMULATION_SEED") {
        match run(seed) {
            Ok(trace) => eprintln!("seed {seed}:\n  {}", trace.join("\n  ")),
            Err((wrong, trace)) => {
                eprintln!("seed {seed}:\n  {}", trace.join("\n  "));
                panic!("seed {seed}: {wrong}");
            }
        }
        return;
    }
    let seeds = number("SILVERBACK_SIMULATION_SEEDS").unwrap_or(SEEDS);
    let first = number("SILVERBACK_SIMULATION_FIRST").unwrap_or(0);
    let next = AtomicU64::new(first);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let failed: Vec<String> = std::thread::scope(|scope| {
        let work = || {
            let mut failed = Vec::new();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= first + seeds {
                    return failed;
                }
                if let Err((wrong, trace)) = run(seed) {
                    failed.push(failure(seed, &wrong, &trace));
                }
            }
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    for failure in &failed {
        eprintln!("{}", failure.lines().next().unwrap_or_default());
    }
    assert!(failed.is_empty(), "{} of {seeds} seeds fail. {}", failed.len(), failed[0]);
}

/// Otherwise a failure could not be looked into.
#[test]
fn a_seed_does_the_same_each_time() {
    for seed in 0..20 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}
