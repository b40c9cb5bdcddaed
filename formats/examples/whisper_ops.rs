//! Does to whisper files what the lines of standard input say, a line of answer for each.
//!
//! It lets another program drive this crate and compare what comes of it, as
//! `tests/real/whisper-differential.sh` does. Doubles are the sixteen hex digits of their bits.
//!
//! ```text
//! rules python|go|silverback
//! create PATH RETENTIONS METHOD XFF filled|sparse
//! update PATH NOW TIME VALUE
//! update_many PATH NOW TIME VALUE TIME VALUE …
//! set PATH METHOD XFF
//! fetch PATH FROM UNTIL NOW
//! fetch_step PATH STEP FROM UNTIL NOW
//! merge SOURCE TARGET FROM UNTIL NOW
//! fill SOURCE TARGET NOW
//! resize SOURCE TARGET rewrite|aggregate NOW
//! diff A B NOW
//! verify PATH
//! ```
#![allow(clippy::unwrap_used, reason = "a line that cannot be read ends the program")]

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, Write};
use std::os::unix::fs::FileExt;
use std::str::FromStr;

use silverback_formats::whisper::{
    AggregationMethod, Allocation, DiffMode, Fetched, FileBytes, Layout, Point, ResizeMode,
    Retention, Rules, Whisper,
};

/// A file of the file system.
struct Disk(File);

impl FileBytes for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&mut self, len_bytes: u64) -> io::Result<()> {
        self.0.set_len(len_bytes)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }
}

fn main() -> io::Result<()> {
    let mut rules = Rules::SILVERBACK;
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let answer = execute(&line, &mut rules).unwrap_or_else(|error| format!("error {error}"));
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

fn execute(line: &str, rules: &mut Rules) -> Result<String, Box<dyn Error>> {
    let mut words = line.split_ascii_whitespace();
    let mut word = || words.next().unwrap_or_default();
    match word() {
        "rules" => {
            *rules = match word() {
                "python" => Rules::PYTHON,
                "go" => Rules::GO,
                _ => Rules::SILVERBACK,
            };
        }
        "create" => {
            let file =
                Disk(OpenOptions::new().read(true).write(true).create_new(true).open(word())?);
            let layout = Layout {
                retentions: &Retention::parse_list(word())?,
                method: AggregationMethod::from_name(word()).ok_or("no such method")?,
                x_files_factor: word().parse()?,
            };
            let sparse = word() == "sparse";
            let allocation = if sparse { Allocation::Sparse } else { Allocation::Filled };
            Whisper::create(file, &layout, allocation, *rules)?;
        }
        "update" => {
            let mut file = open(word(), *rules)?;
            let now_s = number(word());
            file.update(point(word(), word()), now_s)?;
        }
        "update_many" => {
            let mut file = open(word(), *rules)?;
            let now_s = number(word());
            let rest: Vec<&str> = words.collect();
            let points: Vec<Point> = rest.chunks(2).map(|pair| point(pair[0], pair[1])).collect();
            file.update_many(&points, now_s)?;
        }
        "set" => {
            let mut file = open(word(), *rules)?;
            let method = AggregationMethod::from_name(word()).ok_or("no such method")?;
            file.set_aggregation(method, word().parse()?)?;
        }
        "fetch" => {
            let file = open(word(), *rules)?;
            return Ok(fetched(file.fetch(number(word()), number(word()), number(word()))?));
        }
        "fetch_step" => {
            let file = open(word(), *rules)?;
            let step_s = number(word());
            let found = file.fetch_step(step_s, number(word()), number(word()), number(word()))?;
            return Ok(fetched(found));
        }
        "merge" => {
            let (source, mut target) = (open(word(), *rules)?, open(word(), *rules)?);
            target.merge(&source, number(word()), number(word()), number(word()))?;
        }
        "fill" => {
            let (source, mut target) = (open(word(), *rules)?, open(word(), *rules)?);
            target.fill(&source, number(word()))?;
        }
        "resize" => {
            let (source, mut target) = (open(word(), *rules)?, open(word(), *rules)?);
            let aggregate = word() == "aggregate";
            let mode = if aggregate { ResizeMode::Aggregate } else { ResizeMode::Rewrite };
            target.resize_from(&source, mode, number(word()))?;
        }
        "diff" => {
            let (a, b) = (open(word(), *rules)?, open(word(), *rules)?);
            let now_s = number(word());
            let differences = a.diff(&b, DiffMode::Either, now_s, now_s)?;
            let counts = differences.iter().map(|d| format!("{} {}", d.points.len(), d.compared));
            return Ok(counts.collect::<Vec<_>>().join(" "));
        }
        "verify" => {
            let bad: u64 = open(word(), *rules)?.verify()?.iter().map(|archive| archive.bad).sum();
            return Ok(format!("{bad} bad"));
        }
        other => return Err(format!("no command {other:?}").into()),
    }
    Ok("ok".to_owned())
}

fn open(path: &str, rules: Rules) -> Result<Whisper<Disk>, Box<dyn Error>> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    Ok(Whisper::open(Disk(file), rules)?)
}

fn number<T: FromStr>(word: &str) -> T {
    word.parse().unwrap_or_else(|_| panic!("{word:?} is no number"))
}

fn point(time: &str, value: &str) -> Point {
    let bits = u64::from_str_radix(value, 16).unwrap();
    Point { time_s: number(time), value: f64::from_bits(bits) }
}

fn fetched(fetched: Option<Fetched>) -> String {
    let Some(Fetched { start_s, until_s, step_s, values }) = fetched else {
        return "none".to_owned();
    };
    let mut answer = format!("{start_s} {until_s} {step_s}");
    for value in values {
        answer.push(' ');
        answer.push_str(&if value.is_nan() {
            "-".into()
        } else {
            format!("{:016x}", value.to_bits())
        });
    }
    answer
}
