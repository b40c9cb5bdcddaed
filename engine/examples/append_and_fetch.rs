//! Stores an hour of one series, reads it back, and reads it again after a restart.
//!
//! `cargo run -p silverback-engine --example append_and_fetch [FOLDER]`

#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use silverback_engine::{Db, FetchRange, Options, Point};
use std::error::Error;
use std::path::PathBuf;

const NAME: &[u8] = b"example.temperature";

fn main() -> Result<(), Box<dyn Error>> {
    let temporary = tempfile::tempdir()?;
    let folder = std::env::args_os().nth(1).map_or(temporary.path().to_path_buf(), PathBuf::from);

    let db = Db::open(Options::new(&folder))?;
    let now_s = db.now_s();
    let minutes = (0..60).map(|minute| Point {
        name: NAME,
        time_s: now_s - minute * 60,
        value: 20.0 + (minute % 10) as f64 / 10.0,
    });
    let points: Vec<_> = minutes.collect();
    let appended = db.append(&points)?;
    println!("stored {} points in {}", appended.stored, folder.display());
    show(&db, now_s)?;
    db.close()?;
    drop(db);

    let db = Db::open(Options::new(&folder))?;
    println!("after a restart:");
    show(&db, now_s)?;
    Ok(())
}

/// Prints the newest five minutes of the series.
fn show(db: &Db, now_s: i64) -> Result<(), Box<dyn Error>> {
    let id = db.series(NAME).ok_or("the series is not there")?;
    let range = FetchRange { from_s: now_s - 300, until_s: now_s, now_s };
    let fetched = db.fetch(id, range)?.ok_or("the range is outside of what is kept")?;
    let times = (fetched.start_s..).step_by(fetched.step_s as usize);
    for (time_s, value) in times.zip(&fetched.values) {
        println!("  {time_s}  {value}");
    }
    Ok(())
}
