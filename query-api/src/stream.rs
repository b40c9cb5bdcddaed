//! A body that is written while it is sent.
//!
//! Pieces are written on blocking threads, a few ahead of what the client has taken, and sent in
//! order. A client that reads slowly holds the series and a few pieces, but neither a thread nor
//! a place at the gate; one that goes away drops the body, and nothing more is written.

use crate::parallel::cores;
use crate::request::ReplyBody;
use axum::body::{Body, Bytes};
use futures_core::Stream;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

/// Pieces that are written ahead, beside the one that is waited for.
const AHEAD: usize = 2;

/// Most pieces of one body that are in memory.
pub(crate) const PIECES_AT_ONCE: usize = AHEAD + 1;

/// What can be written in pieces, each without the others.
pub(crate) trait Pieces: Send + Sync + 'static {
    /// How many there are; at least one.
    fn count(&self) -> usize;

    /// One of them.
    fn write(&self, piece: usize) -> Vec<u8>;
}

/// Places at which pieces are written, shared by all answers: one a core.
#[derive(Debug, Clone)]
pub(crate) struct Desks(Arc<Semaphore>);

impl Desks {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(cores())))
    }

    /// Waits for a place, which is given back when the permit is dropped.
    pub(crate) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).acquire_owned().await.ok()
    }

    /// The body made of all pieces. Called on a blocking thread, where it writes the first one
    /// at once, while others may begin with the next.
    pub(crate) fn body(&self, pieces: impl Pieces) -> ReplyBody {
        if pieces.count() == 1 {
            return pieces.write(0).into();
        }
        let pieces = Arc::new(pieces);
        let mut unsent = Unsent { desks: self.clone(), pieces, next: 1, begun: VecDeque::new() };
        (0..AHEAD).for_each(|_| unsent.begin());
        let first = unsent.pieces.write(0);
        Body::from_stream(Written { first: Some(first.into()), unsent }).into()
    }
}

/// The pieces that were not taken yet.
struct Unsent<P> {
    desks: Desks,
    pieces: Arc<P>,
    /// The first that was not begun.
    next: usize,
    /// Those being written, in order.
    begun: VecDeque<JoinHandle<Option<Vec<u8>>>>,
}

impl<P: Pieces> Unsent<P> {
    /// Begins with the next piece.
    fn begin(&mut self) {
        if self.next == self.pieces.count() {
            return;
        }
        let (piece, pieces, desks) = (self.next, Arc::clone(&self.pieces), self.desks.clone());
        self.begun.push_back(tokio::spawn(async move {
            let desk = desks.place().await?;
            let write = move || {
                let _desk = desk;
                pieces.write(piece)
            };
            tokio::task::spawn_blocking(write).await.ok()
        }));
        self.next += 1;
    }
}

impl<P> Drop for Unsent<P> {
    fn drop(&mut self) {
        self.begun.iter().for_each(JoinHandle::abort);
    }
}

/// The body: first what is written already, then the rest.
struct Written<P> {
    first: Option<Bytes>,
    unsent: Unsent<P>,
}

impl<P: Pieces> Stream for Written<P> {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        let Some(piece) = this.unsent.begun.front_mut() else { return Poll::Ready(None) };
        let piece = ready!(Pin::new(piece).poll(context));
        this.unsent.begun.pop_front();
        this.unsent.begin();
        // The head of the answer is gone already: breaking off is all that can be told.
        let broken = || io::Error::other("an answer could not be written");
        Poll::Ready(Some(piece.ok().flatten().map(Bytes::from).ok_or_else(broken)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Reply;
    use axum::response::IntoResponse;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    struct Numbers {
        count: usize,
        written: Arc<AtomicUsize>,
    }

    impl Pieces for Numbers {
        fn count(&self) -> usize {
            self.count
        }

        fn write(&self, piece: usize) -> Vec<u8> {
            assert!(piece != 77, "as a bug would");
            self.written.fetch_add(1, Relaxed);
            format!("{piece} ").into_bytes()
        }
    }

    async fn body(count: usize) -> (Body, Arc<AtomicUsize>) {
        let written = Arc::new(AtomicUsize::new(0));
        let numbers = Numbers { count, written: Arc::clone(&written) };
        let body = tokio::task::spawn_blocking(move || Desks::new().body(numbers));
        let reply = Reply::new("text/plain", body.await.unwrap());
        (reply.into_response().into_body(), written)
    }

    #[tokio::test]
    async fn pieces_come_in_order() {
        for count in [1, 2, 3, 4, 50] {
            let (body, _) = body(count).await;
            let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            let expected: String = (0..count).map(|piece| format!("{piece} ")).collect();
            assert_eq!(bytes, expected);
        }
    }

    #[tokio::test]
    async fn only_a_few_pieces_are_written_ahead_of_the_reader() {
        let (body, written) = body(50).await;
        // Whatever else could run has run by then.
        for _ in 0..100 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        assert_eq!(written.load(Relaxed), 1 + AHEAD);
        drop(body);
    }

    #[tokio::test]
    async fn a_bug_breaks_the_answer_off() {
        let (body, _) = body(100).await;
        assert!(axum::body::to_bytes(body, usize::MAX).await.is_err());
    }
}
