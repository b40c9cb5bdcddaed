//! Plaintext over UDP: one task, which empties the socket at each wake-up and
//! appends the points of many datagrams together.
//!
//! The end of a datagram ends its last line. Nobody can be made to wait here:
//! what the database cannot write, and what the system cannot hold, is lost;
//! the first is counted.

use crate::counters::ReceiverCounters;
use crate::framing::DatagramBuffer;
use crate::intake::{Closed, Intake, OnStall, Store};
use crate::limits::{UdpOptions, quiet_until};
use crate::refusals::{Logger, RefusalLog};
use silverback_engine::Db;
use silverback_formats::carbon::Point;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

/// Receives plaintext lines on `socket` and appends them to `db`.
///
/// Ends when `shutdown` is cancelled, or the database closed, and what the
/// socket had received before is stored.
pub async fn serve_udp(
    socket: UdpSocket,
    db: Db,
    options: UdpOptions,
    counters: Arc<ReceiverCounters>,
    shutdown: CancellationToken,
) {
    serve(socket, db, options, counters, shutdown).await;
}

async fn serve<S: Store>(
    socket: UdpSocket,
    store: S,
    options: UdpOptions,
    counters: Arc<ReceiverCounters>,
    shutdown: CancellationToken,
) {
    let log = RefusalLog::new(Logger::Udp, options.refusals_logged_per_s);
    let intake = Intake::new(store, counters, log, OnStall::Drop, &shutdown);
    let (datagrams, spare) = (DatagramBuffer::new(), Vec::new());
    let mut receiver = Receiver { socket, intake: &intake, datagrams, spare };
    if receiver.run().await.is_ok() {
        // The only error is that the database is closed: then there is nothing left to do.
        let _ = receiver.drain(options.drain).await;
    }
}

#[derive(Debug)]
struct Receiver<'a, S> {
    socket: UdpSocket,
    intake: &'a Intake<S>,
    datagrams: DatagramBuffer,
    /// Memory for points, between two wake-ups.
    spare: Vec<Point<'static>>,
}

impl<S: Store> Receiver<'_, S> {
    /// Receives until shutdown.
    async fn run(&mut self) -> Result<(), Closed> {
        loop {
            let readable = tokio::select! {
                biased;
                () = self.intake.stop().cancelled() => return Ok(()),
                readable = self.socket.readable() => readable,
            };
            match readable.and_then(|()| self.read()) {
                Ok(()) => self.take().await?,
                Err(error) => self.pause(&error).await,
            }
        }
    }

    /// Reads the datagrams that are there, as many as the buffer holds.
    fn read(&mut self) -> io::Result<()> {
        while let Some(space) = self.datagrams.space() {
            match self.socket.try_recv(space) {
                Ok(len_bytes) => {
                    let counters = self.intake.counters();
                    counters.datagrams_received.add(1);
                    counters.bytes_received.add(len_bytes);
                    self.datagrams.fill(len_bytes);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // What was read before the error comes first, the error comes again.
                Err(_) if !self.datagrams.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Stores what was just read.
    async fn take(&mut self) -> Result<(), Closed> {
        self.intake.take(self.datagrams.frames(), &mut self.spare, None).await?;
        self.datagrams.consume();
        yield_now().await;
        Ok(())
    }

    /// An error of a socket without a peer does not go away by asking at once again.
    async fn pause(&self, error: &io::Error) {
        self.intake.counters().read_errors.add(1);
        tracing::warn!("carbon datagrams cannot be read: {error}");
        sleep(Duration::from_millis(200)).await;
    }

    /// Stores what had been sent before shutdown, as far as it is here already.
    async fn drain(&mut self, longest: Duration) -> Result<(), Closed> {
        let deadline = Instant::now() + longest;
        while let Some(quiet) = quiet_until(deadline)
            && let Ok(Ok(())) = timeout_at(quiet, self.socket.readable()).await
            && self.read().is_ok()
        {
            self.take().await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
