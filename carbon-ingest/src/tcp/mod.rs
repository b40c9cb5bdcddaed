//! Plaintext over TCP: one task and one read buffer per connection.
//!
//! A connection has no memory but its task while it sends nothing, and no lock,
//! channel or allocation per line while it does.

use crate::counters::{ActiveConnection, ReceiverCounters};
use crate::framing::LineBuffer;
use crate::intake::{Closed, Intake, OnStall, Store};
use crate::limits::{TcpOptions, quiet_until};
use crate::refusals::{Logger, RefusalLog};
use silverback_engine::Db;
use silverback_formats::carbon::Point;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet, yield_now};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

/// Receives plaintext lines on `listener` and appends them to `db`.
///
/// Ends when `shutdown` is cancelled, or the database closed, and all that its
/// connections have read is stored.
pub async fn serve_tcp(
    listener: TcpListener,
    db: Db,
    options: TcpOptions,
    counters: Arc<ReceiverCounters>,
    shutdown: CancellationToken,
) {
    serve(listener, db, options, counters, shutdown).await;
}

async fn serve<S: Store>(
    listener: TcpListener,
    store: S,
    options: TcpOptions,
    counters: Arc<ReceiverCounters>,
    shutdown: CancellationToken,
) {
    let log = RefusalLog::new(Logger::Tcp, options.refusals_logged_per_s);
    let intake = Arc::new(Intake::new(store, counters, log, OnStall::Wait, &shutdown));
    let options = Arc::new(options);
    let mut acceptor = Acceptor { listener, full: false, failures: 0 };
    let mut connections = JoinSet::new();
    let has_room =
        |open: usize| options.connections_max.is_none_or(|connections_max| open < connections_max);
    let receive = |accepted| receive(accepted, Arc::clone(&intake), Arc::clone(&options));
    loop {
        let room = has_room(connections.len());
        tokio::select! {
            biased;
            () = intake.stop().cancelled() => break,
            Some(ended) = connections.join_next() => note_panic(ended),
            accepted = acceptor.accept(room, intake.counters()) => {
                if let Some(accepted) = accepted {
                    connections.spawn(receive(accepted));
                }
            }
        }
    }
    // Senders that connected before shutdown may have sent, and gone, already.
    let deadline = Instant::now() + options.drain;
    while let Some(quiet) = quiet_until(deadline)
        && let room = has_room(connections.len())
        && let Ok(Some(accepted)) =
            timeout_at(quiet, acceptor.accept(room, intake.counters())).await
    {
        connections.spawn(receive(accepted));
    }
    drop(acceptor);
    while let Some(ended) = connections.join_next().await {
        note_panic(ended);
    }
}

fn note_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!("a carbon connection ended by a fault of ours: {error}");
    }
}

#[derive(Debug)]
struct Accepted {
    stream: TcpStream,
    peer: SocketAddr,
    active: ActiveConnection,
}

/// Accepts connections, and says so once when it cannot.
#[derive(Debug)]
struct Acceptor {
    listener: TcpListener,
    /// The last connection was refused for want of room.
    full: bool,
    /// Errors in a row.
    failures: u32,
}

impl Acceptor {
    /// The next connection; `None` when there was one that could not be had.
    async fn accept(&mut self, room: bool, counters: &Arc<ReceiverCounters>) -> Option<Accepted> {
        match self.listener.accept().await {
            Ok(_) if !room => {
                counters.connections_refused.add(1);
                if !std::mem::replace(&mut self.full, true) {
                    tracing::warn!(
                        "carbon connections are refused: the most that are allowed are open"
                    );
                }
                None
            }
            Ok((stream, peer)) => {
                let active = ActiveConnection::new(counters);
                counters.connections_accepted.add(1);
                if std::mem::replace(&mut self.full, false) {
                    tracing::info!("carbon connections are accepted again");
                }
                self.failures = 0;
                Some(Accepted { stream, peer, active })
            }
            Err(error) => {
                counters.accept_errors.add(1);
                self.pause(&error).await;
                None
            }
        }
    }

    /// Without descriptors or memory the next try would fail at once too.
    async fn pause(&mut self, error: &io::Error) {
        let of_that_connection_only = matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::Interrupted
        );
        if of_that_connection_only {
            return;
        }
        if self.failures == 0 {
            tracing::error!("carbon connections cannot be accepted: {error}");
        }
        self.failures = self.failures.saturating_add(1);
        sleep(Duration::from_millis(25) * 2_u32.pow(self.failures.min(5))).await;
    }
}

/// A connection that sends nothing for so long gives its memory back: thousands
/// of senders that flush once a minute would hold a large buffer each.
const RELEASE_AFTER: Duration = Duration::from_secs(5);

/// Why a connection is read no longer.
#[derive(Debug)]
enum End {
    /// The sender closed it.
    Eof,
    /// It sent nothing for too long.
    Idle,
    /// The system says so.
    Failed(io::Error),
    /// We are to end.
    Shutdown,
}

async fn receive<S: Store>(accepted: Accepted, intake: Arc<Intake<S>>, options: Arc<TcpOptions>) {
    let counters = intake.counters();
    let Accepted { stream, peer, active: _active } = accepted;
    let (lines, spare) = (LineBuffer::new(), Vec::new());
    let mut connection = Connection { stream, peer, intake: &intake, lines, spare };
    let Ok(end) = connection.run(options.idle).await else { return };
    match end {
        End::Eof => {}
        End::Idle => {
            counters.connections_idle_closed.add(1);
            tracing::debug!(%peer, "idle carbon connection closed");
        }
        End::Failed(error) => {
            counters.read_errors.add(1);
            tracing::debug!(%peer, "carbon connection failed: {error}");
        }
        End::Shutdown => {
            if connection.drain(options.drain).await.is_err() {
                return;
            }
        }
    }
    if let Some(line) = connection.lines.unterminated() {
        intake.refuse_unterminated(line, Some(peer));
    }
}

#[derive(Debug)]
struct Connection<'a, S> {
    stream: TcpStream,
    peer: SocketAddr,
    intake: &'a Intake<S>,
    lines: LineBuffer,
    /// Memory for points, between two reads.
    spare: Vec<Point<'static>>,
}

impl<S: Store> Connection<'_, S> {
    async fn run(&mut self, idle: Duration) -> Result<End, Closed> {
        let mut stop = pin!(self.intake.stop().cancelled());
        let mut last_read = Instant::now();
        // Set again only when it fires: a timer costs more than a look at the clock.
        let mut alarm = pin!(sleep(idle.min(RELEASE_AFTER)));
        loop {
            let read = tokio::select! {
                biased;
                () = &mut stop => return Ok(End::Shutdown),
                read = read(&mut self.stream, &mut self.lines) => read,
                () = &mut alarm => {
                    let quiet = last_read.elapsed();
                    if quiet >= idle {
                        return Ok(End::Idle);
                    }
                    if quiet >= RELEASE_AFTER {
                        self.lines.release();
                        self.spare = Vec::new();
                    }
                    alarm.as_mut().reset(Instant::now() + RELEASE_AFTER.min(idle - quiet));
                    continue;
                }
            };
            match read {
                Ok(0) => return Ok(End::Eof),
                Ok(len_bytes) => self.take(len_bytes).await?,
                Err(error) => return Ok(End::Failed(error)),
            }
            last_read = Instant::now();
        }
    }

    /// Stores what was just read.
    async fn take(&mut self, len_bytes: usize) -> Result<(), Closed> {
        /// Reads from here on keep a thread busy long enough to let others go first.
        const LARGE_READ_BYTES: usize = 32 << 10;

        self.intake.counters().bytes_received.add(len_bytes);
        self.lines.fill(len_bytes);
        self.intake.take(self.lines.frames(), &mut self.spare, Some(self.peer)).await?;
        self.lines.consume();
        if len_bytes >= LARGE_READ_BYTES {
            yield_now().await;
        }
        Ok(())
    }

    /// Stores what the sender had sent before shutdown, as far as it is here already.
    async fn drain(&mut self, longest: Duration) -> Result<(), Closed> {
        let deadline = Instant::now() + longest;
        while let Some(quiet) = quiet_until(deadline)
            && let Ok(Ok(len_bytes)) =
                timeout_at(quiet, read(&mut self.stream, &mut self.lines)).await
            && len_bytes > 0
        {
            self.take(len_bytes).await?;
        }
        Ok(())
    }
}

/// Reads once; the buffer gets its memory only when the first bytes are there.
async fn read(stream: &mut TcpStream, lines: &mut LineBuffer) -> io::Result<usize> {
    if !lines.has_memory() {
        stream.readable().await?;
    }
    stream.read(lines.space()).await
}

#[cfg(test)]
mod tests;
