//! A database of one series in memory that does what lines of standard input say, with an answer
//! for each: the other side of `tests/real/roll-ups.sh`.

use silverback_engine::clock::ManualClock;
use silverback_engine::schema::{RuleFile, Schema};
use silverback_engine::storage::MemoryStorage;
use silverback_engine::{Db, Options, Point};
use std::error::Error;
use std::io::BufRead;
use std::sync::Arc;

/// The database, and what it is opened with.
struct Session {
    schema: Schema,
    clock: Arc<ManualClock>,
    storage: MemoryStorage,
    db: Db,
}

impl Session {
    fn create(
        retentions: &str,
        method: &str,
        factor: &str,
        now: &str,
    ) -> Result<Self, Box<dyn Error>> {
        let schemas = format!("[all]\npattern = ^\nretentions = {retentions}\n");
        let rules =
            format!("[all]\npattern = ^\naggregationMethod = {method}\nxFilesFactor = {factor}\n");
        let schema = Schema::parse(
            RuleFile { name: "schemas", text: schemas.as_bytes() },
            Some(RuleFile { name: "aggregation", text: rules.as_bytes() }),
        )?;
        let (clock, storage) = (Arc::new(ManualClock::new(now.parse()?)), MemoryStorage::new());
        let db = open(&schema, &clock, &storage)?;
        Ok(Self { schema, clock, storage, db })
    }

    fn answer(&mut self, words: &[&str]) -> Result<String, Box<dyn Error>> {
        match words {
            ["clock", now] => self.clock.set(now.parse()?),
            ["put", time, bits] => {
                let value = f64::from_bits(u64::from_str_radix(bits, 16)?);
                let point = Point { name: b"s", time_s: time.parse()?, value };
                return Ok(self.db.append(&[point])?.stored.to_string());
            }
            ["seal"] => self.db.seal()?,
            ["expire"] => return Ok(self.db.expire()?.to_string()),
            ["compact"] => return Ok(self.db.compact()?.to_string()),
            ["kill"] => {
                self.storage = self.storage.after_kill();
                self.db = open(&self.schema, &self.clock, &self.storage)?;
            }
            ["fetch", archive, from, until] => {
                let Some(id) = self.db.series(b"s") else { return Ok("none".to_owned()) };
                let range_s = (from.parse()?, until.parse()?);
                let Some(fetched) = self.db.fetch_archive(id, archive.parse()?, range_s)? else {
                    return Ok("none".to_owned());
                };
                let values = fetched.values.iter().enumerate().filter(|(_, value)| !value.is_nan());
                let shown = values.map(|(at, value)| {
                    let time_s = fetched.start_s + at as i64 * i64::from(fetched.step_s);
                    format!("{time_s} {:016x}", value.to_bits())
                });
                return Ok(format!("known {}", shown.collect::<Vec<_>>().join(" ")));
            }
            _ => return Err("no such command".into()),
        }
        Ok("ok".to_owned())
    }
}

fn open(
    schema: &Schema,
    clock: &Arc<ManualClock>,
    storage: &MemoryStorage,
) -> Result<Db, Box<dyn Error>> {
    Ok(Db::open(Options {
        schema: schema.clone(),
        background: false,
        clock: Arc::clone(clock) as _,
        storage: Arc::new(storage.clone()),
        ..Options::new("/db")
    })?)
}

#[expect(clippy::print_stdout, reason = "answers are its purpose")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut session: Option<Session> = None;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match (&words[..], &mut session) {
            (["create", retentions, method, factor, now], _) => {
                session = Some(Session::create(retentions, method, factor, now)?);
                "ok".to_owned()
            }
            (words, Some(session)) => session.answer(words)?,
            (_, None) => return Err("create first".into()),
        };
        println!("{answer}");
    }
    Ok(())
}
