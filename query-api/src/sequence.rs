//! A body that is written while it is sent, each piece after the one before.
//!
//! For what has no parts that stand alone, as a walk that goes on where it was. One piece is
//! written ahead of what the client has taken; between two pieces neither a thread nor a place at
//! the gate is held. A client that goes away drops the body, and nothing more is written.

use crate::stream::Desks;
use axum::body::{Body, Bytes};
use futures_core::Stream;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::task::JoinHandle;

/// A piece of a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Others follow.
    More(Vec<u8>),
    /// The last one.
    Last(Vec<u8>),
}

/// What is written piece by piece.
pub(crate) trait Sequence: Send + 'static {
    /// The next piece, none after the last one.
    fn write(&mut self) -> Piece;
}

/// The body made of all pieces. Called on a blocking thread, where it writes the first one.
pub(crate) fn body(desks: &Desks, mut sequence: impl Sequence) -> Body {
    match sequence.write() {
        Piece::Last(all) => Body::from(all),
        Piece::More(first) => {
            let begun = Some(begin(desks.clone(), sequence));
            let desks = desks.clone();
            Body::from_stream(Written { first: Some(first.into()), begun, desks })
        }
    }
}

/// A sequence and the piece that it has just written.
type Begun<S> = JoinHandle<Option<(S, Piece)>>;

fn begin<S: Sequence>(desks: Desks, mut sequence: S) -> Begun<S> {
    tokio::spawn(async move {
        let desk = desks.place().await?;
        let write = move || {
            let _desk = desk;
            let piece = sequence.write();
            (sequence, piece)
        };
        tokio::task::spawn_blocking(write).await.ok()
    })
}

/// The body.
struct Written<S> {
    first: Option<Bytes>,
    /// The piece that is being written; none after the last one.
    begun: Option<Begun<S>>,
    desks: Desks,
}

impl<S> Drop for Written<S> {
    fn drop(&mut self) {
        self.begun.iter().for_each(JoinHandle::abort);
    }
}

impl<S: Sequence> Stream for Written<S> {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        let Some(begun) = &mut this.begun else { return Poll::Ready(None) };
        let written = ready!(Pin::new(begun).poll(context));
        this.begun = None;
        // The head of the answer is gone already: breaking off is all that can be told.
        let Some((sequence, piece)) = written.ok().flatten() else {
            return Poll::Ready(Some(Err(io::Error::other("an answer could not be written"))));
        };
        let bytes = match piece {
            Piece::Last(bytes) => bytes,
            Piece::More(bytes) => {
                this.begun = Some(begin(this.desks.clone(), sequence));
                bytes
            }
        };
        Poll::Ready(Some(Ok(bytes.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    struct Numbers {
        next: usize,
        last: usize,
        written: Arc<AtomicUsize>,
    }

    impl Sequence for Numbers {
        fn write(&mut self) -> Piece {
            assert!(self.next != 77, "as a bug would");
            self.written.fetch_add(1, Relaxed);
            let text = format!("{} ", self.next).into_bytes();
            self.next += 1;
            if self.next > self.last { Piece::Last(text) } else { Piece::More(text) }
        }
    }

    async fn numbers(last: usize) -> (Body, Arc<AtomicUsize>) {
        let written = Arc::new(AtomicUsize::new(0));
        let numbers = Numbers { next: 0, last, written: Arc::clone(&written) };
        let body = tokio::task::spawn_blocking(move || body(&Desks::new(), numbers));
        (body.await.unwrap(), written)
    }

    #[tokio::test]
    async fn pieces_come_in_order() {
        for last in [0, 1, 2, 50] {
            let (body, _) = numbers(last).await;
            let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            let expected: String = (0..=last).map(|piece| format!("{piece} ")).collect();
            assert_eq!(bytes, expected);
        }
    }

    #[tokio::test]
    async fn one_piece_is_written_ahead_of_the_reader() {
        let (body, written) = numbers(50).await;
        // Whatever else could run has run by then.
        for _ in 0..100 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        assert_eq!(written.load(Relaxed), 2);
        drop(body);
    }

    #[tokio::test]
    async fn a_bug_breaks_the_answer_off() {
        let (body, _) = numbers(100).await;
        assert!(axum::body::to_bytes(body, usize::MAX).await.is_err());
    }
}
