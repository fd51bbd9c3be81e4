//! Messages that have arrived and wait to be taken in: bounded in number and in bytes.
//!
//! Redis does not wait for a subscriber, so what does not fit is lost here. That is noted, and
//! the pools are reconciled again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use redis::{PushInfo, PushKind, Value};
use tokio::sync::mpsc::{self, Receiver, Sender};

/// Bytes of messages per place, on average.
const MESSAGE_BYTES: usize = 512;
/// The longest message: any inbox has room for one.
const LONGEST_MESSAGE: usize = 66_000;

/// What has arrived.
#[derive(Debug)]
pub(super) enum News {
    /// A message on a channel.
    Message(Vec<u8>, Vec<u8>),
    /// The connection has ended.
    Closed,
}

#[derive(Default)]
struct State {
    bytes: AtomicUsize,
    lost: AtomicBool,
}

/// The end that the connection writes to.
pub(super) struct Letterbox {
    sender: Sender<News>,
    state: Arc<State>,
    max_bytes: usize,
}

/// The end that is read.
pub(super) struct Inbox {
    receiver: Receiver<News>,
    state: Arc<State>,
}

/// An inbox with room for `limit` messages.
pub(super) fn new(limit: usize) -> (Letterbox, Inbox) {
    let (sender, receiver) = mpsc::channel(limit);
    let state = Arc::new(State::default());
    let letterbox = Letterbox {
        sender,
        state: Arc::clone(&state),
        max_bytes: limit.saturating_mul(MESSAGE_BYTES).max(LONGEST_MESSAGE),
    };
    (letterbox, Inbox { receiver, state })
}

impl Letterbox {
    /// Puts a push of Redis in, or notes that it was lost. Never waits.
    pub fn put(&self, push: PushInfo) {
        let news = match push.kind {
            PushKind::Message => match <[Value; 2]>::try_from(push.data) {
                Ok([Value::BulkString(channel), Value::BulkString(text)]) => {
                    News::Message(channel, text)
                }
                _ => return,
            },
            PushKind::Disconnection => News::Closed,
            _ => return,
        };
        let bytes = news.bytes();
        let fits = self.state.bytes.fetch_add(bytes, Relaxed) + bytes <= self.max_bytes;
        if !fits || self.sender.try_send(news).is_err() {
            self.state.bytes.fetch_sub(bytes, Relaxed);
            self.state.lost.store(true, Relaxed);
        }
    }
}

impl Inbox {
    /// What has arrived next, if anything has.
    pub fn take(&mut self) -> Option<News> {
        let news = self.receiver.try_recv().ok()?;
        self.state.bytes.fetch_sub(news.bytes(), Relaxed);
        Some(news)
    }

    /// Waits until something has arrived.
    pub async fn ready(&mut self) -> News {
        match self.receiver.recv().await {
            Some(news) => {
                self.state.bytes.fetch_sub(news.bytes(), Relaxed);
                news
            }
            None => News::Closed,
        }
    }

    /// Whether a message was lost since the last call.
    pub fn take_lost(&self) -> bool {
        self.state.lost.swap(false, Relaxed)
    }
}

impl News {
    fn bytes(&self) -> usize {
        match self {
            Self::Message(channel, text) => channel.len() + text.len(),
            Self::Closed => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(bytes: usize) -> PushInfo {
        PushInfo {
            kind: PushKind::Message,
            data: vec![
                Value::BulkString(b"c".to_vec()),
                Value::BulkString(vec![0; bytes]),
            ],
        }
    }

    fn taken(inbox: &mut Inbox) -> usize {
        std::iter::from_fn(|| inbox.take()).count()
    }

    #[test]
    fn what_does_not_fit_is_noted() {
        let (letterbox, mut inbox) = new(4);
        (0..4).for_each(|_| letterbox.put(message(10)));
        assert!(!inbox.take_lost());
        letterbox.put(message(10));
        assert!(inbox.take_lost());
        assert!(!inbox.take_lost());
        assert_eq!(taken(&mut inbox), 4);
    }

    #[test]
    fn bytes_count_and_are_given_back() {
        let (letterbox, mut inbox) = new(1000);
        for _ in 0..100 {
            (0..7).for_each(|_| letterbox.put(message(65_535)));
            assert!(!inbox.take_lost());
            letterbox.put(message(65_535));
            assert!(inbox.take_lost());
            assert_eq!(taken(&mut inbox), 7);
        }
    }
}
