//! The same set in VictoriaMetrics: what it is on disk after a forced merge.

use super::set::Set;
use crate::error::{BenchError, Trying};
use crate::ingest;
use crate::peer::VictoriaMetrics;
use crate::process;
use silverback_engine::clock::monotonic;
use std::io::{BufWriter, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Longest wait for it to count what it was sent.
const WAIT_MAX: Duration = Duration::from_secs(120);

/// Bytes a point of its data files, names left out; `None` when it is not installed.
pub(super) fn bytes_per_point(set: &Set) -> Result<Option<f64>, BenchError> {
    let folder = process::temporary_folder()?;
    // Recorded series are old.
    let Some(peer) = VictoriaMetrics::start_keeping(folder.path(), "100y")? else {
        return Ok(None);
    };
    send(set, &peer).trying("sending lines to victoria-metrics")?;
    let points = set.points() as u64;
    let begin = monotonic();
    while peer.stored_points()? < points && begin.elapsed() < WAIT_MAX {
        std::thread::sleep(Duration::from_millis(100));
    }
    ingest::check(peer.stored_points()?, points)?;
    let bytes = peer.merge_all(folder.path())?;
    Ok(Some(bytes as f64 / points as f64))
}

fn send(set: &Set, peer: &VictoriaMetrics) -> std::io::Result<()> {
    let mut lines = BufWriter::with_capacity(1 << 16, TcpStream::connect(peer.carbon)?);
    for series in &set.series {
        // What would end or tag a name in a line.
        let name = series.name.replace(|c: char| c.is_whitespace() || c == ';', "_");
        for (value, time_s) in series.values.iter().zip(series.times_s()) {
            if let Some(value) = value {
                writeln!(lines, "{name} {value} {time_s}")?;
            }
        }
    }
    lines.flush()
}
