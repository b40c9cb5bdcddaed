//! How senders say it: connections that write as fast as they are read.

use crate::error::{BenchError, Trying};
use crate::lines::{Lines, Order, Values};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::ops::Range;
use std::thread;

/// Bytes of one write, as a relay with a full queue makes them.
const WRITE_BYTES: usize = 64 << 10;

/// All connections, each with a share of the series.
#[derive(Debug)]
pub(crate) struct Sender {
    connections: Vec<Lines>,
    step_s: i64,
    /// Time of round 0, Unix seconds.
    start_s: i64,
}

impl Sender {
    /// `series` series, spread over `connections`; round 0 is for `start_s`.
    pub(crate) fn new(
        series: usize,
        connections: usize,
        (values, order): (Values, Order),
        (start_s, step_s): (i64, i64),
    ) -> Self {
        let share = |at: usize| at * series / connections;
        let connections = (0..connections)
            .map(|at| Lines::new(share(at), share(at + 1) - share(at), values, order))
            .collect();
        Self { connections, step_s, start_s }
    }

    /// Sends `rounds`, one line a series each, and returns when the server has read all of it
    /// and closed the connections, with the number of bytes sent.
    pub(crate) fn send(
        &mut self,
        address: SocketAddr,
        rounds: Range<i64>,
    ) -> Result<u64, BenchError> {
        let (start_s, step_s) = (self.start_s, self.step_s);
        let times = rounds.map(|round| start_s + round * step_s);
        thread::scope(|scope| {
            let running: Vec<_> = self
                .connections
                .iter_mut()
                .map(|lines| (lines, times.clone()))
                .map(|(lines, times)| scope.spawn(move || send(address, lines, times)))
                .collect();
            let sent = running.into_iter().map(|thread| thread.join().expect("it does not panic"));
            sent.sum()
        })
    }
}

fn send(
    address: SocketAddr,
    lines: &mut Lines,
    times: impl Iterator<Item = i64>,
) -> Result<u64, BenchError> {
    let mut stream = TcpStream::connect(address).trying(format!("connect to {address}"))?;
    let mut round = Vec::new();
    let mut sent = 0;
    for time_s in times {
        round.clear();
        lines.round_into(time_s, &mut round);
        for chunk in round.chunks(WRITE_BYTES) {
            stream.write_all(chunk).trying(format!("send to {address}"))?;
        }
        sent += round.len() as u64;
    }
    stream.shutdown(Shutdown::Write).trying("end of sending")?;
    // The server closes when it has taken everything.
    stream.read_to_end(&mut Vec::new()).trying(format!("end of {address}"))?;
    Ok(sent)
}
