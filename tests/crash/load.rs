//! Load whose every line can be told from any other by what is stored of it.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Connections that send at the same time.
pub(crate) const SENDERS: usize = 4;
/// Series that every connection sends to in turn.
const SERIES: usize = 40;
/// How many of them get a new name every [`NAME_SLOTS`].
const CHANGING: usize = 4;
const NAME_SLOTS: usize = 32;
/// Slots of a round; also seconds, as the step is one second.
pub(crate) const SLOTS: usize = 256;
/// Lines of a stream.
pub(crate) const LINES: usize = SERIES * SLOTS;

/// A small generator of random numbers (SplitMix64); its seed is printed.
#[derive(Debug, Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// The lines of one connection in one round, in their order.
///
/// Slots come in swapped pairs, so half of the lines are late; some names change, so series are
/// created all the time. A value is the number of its line among all lines of all streams: it
/// cannot stand in a wrong place, or be made of two others, without being noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) round: usize,
    pub(crate) sender: usize,
}

impl Stream {
    /// Stream and line of a stored value; `None` for a value that no stream holds.
    pub(crate) fn of_value(value: f64) -> Option<(Self, usize)> {
        if value.fract() != 0.0 || !(0.0..1e15).contains(&value) {
            return None;
        }
        let number = value as usize;
        let (stream, line) = (number / LINES, number % LINES);
        Some((Self { round: stream / SENDERS, sender: stream % SENDERS }, line))
    }

    /// The name that a line is for.
    pub(crate) fn name(self, line: usize) -> String {
        let Self { round, sender } = self;
        let series = line % SERIES;
        if series < SERIES - CHANGING {
            format!("crash.s{sender}.m{series:02}")
        } else {
            let part = line / SERIES / NAME_SLOTS;
            format!("crash.s{sender}.r{round:03}n{series}p{part}")
        }
    }

    /// The names of the first `lines` lines, each once.
    pub(crate) fn names(self, lines: usize) -> impl Iterator<Item = String> {
        let is_first = |line: &usize| {
            let changes = line % SERIES >= SERIES - CHANGING;
            *line < SERIES || changes && (line / SERIES).is_multiple_of(NAME_SLOTS)
        };
        (0..lines).filter(is_first).map(move |line| self.name(line))
    }

    /// The slot that a line is for, in seconds after the first slot of the first round.
    pub(crate) fn slot(self, line: usize) -> usize {
        self.round * SLOTS + ((line / SERIES) ^ 1)
    }

    fn value(self, line: usize) -> usize {
        (self.round * SENDERS + self.sender) * LINES + line
    }

    fn write_line(self, line: usize, first_s: i64, out: &mut Vec<u8>) {
        let time_s = first_s + self.slot(line) as i64;
        writeln!(out, "{} {} {time_s}", self.name(line), self.value(line)).unwrap();
    }
}

/// A connection that sends a stream until it is told to stop or the server is gone.
#[derive(Debug)]
pub(crate) struct Sender {
    thread: Option<JoinHandle<()>>,
    progress: Arc<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    /// Lines of which at least one byte was given to the socket, or is about to be.
    begun: AtomicUsize,
    stop: AtomicBool,
}

impl Sender {
    /// Starts to send.
    pub(crate) fn start(
        stream: Stream,
        first_s: i64,
        carbon: SocketAddr,
        mut random: Random,
    ) -> Self {
        let progress = Arc::new(Progress::default());
        let shared = Arc::clone(&progress);
        let mut socket = TcpStream::connect(carbon).unwrap();
        let thread = std::thread::spawn(move || {
            let mut pending = Vec::new();
            let mut next = 0;
            while !shared.stop.load(Ordering::Relaxed) {
                // Pieces end anywhere, mostly inside a line.
                let piece_bytes = 1 + random.below(3000) as usize;
                while pending.len() < piece_bytes && next < LINES {
                    stream.write_line(next, first_s, &mut pending);
                    next += 1;
                }
                shared.begun.store(next, Ordering::SeqCst);
                let piece = pending.len().min(piece_bytes);
                if piece == 0 || socket.write_all(&pending[..piece]).is_err() {
                    return;
                }
                pending.drain(..piece);
                std::thread::sleep(Duration::from_micros(random.below(12_000)));
            }
        });
        Self { thread: Some(thread), progress }
    }

    /// Whether it has given everything to the socket.
    pub(crate) fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits for the end and says how many lines the server may have seen at most.
    pub(crate) fn end(mut self) -> usize {
        self.join();
        self.progress.begun.load(Ordering::SeqCst)
    }

    fn join(&mut self) {
        self.progress.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.progress.stop.store(true, Ordering::Relaxed);
    }
}
