//! The log lines of reloads, in the order of these.

use tokio::{
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    task,
};
use tracing::field::display;

use crate::event;

/// Tells in the log what came of reloads, one after the other. What takes long to say (what differs, thousands of
/// warnings) is said beside the reloads: the next revocation does not wait for it.
#[derive(Clone)]
pub(super) struct Teller(UnboundedSender<News>);

/// Says something in the log.
type News = Box<dyn FnOnce() + Send>;

impl Teller {
    /// Tells as long as one of its clones is there. Must be called within a runtime.
    pub(super) fn start() -> Self {
        let (sender, news) = mpsc::unbounded_channel();
        tokio::spawn(tell_all(news));
        Self(sender)
    }

    pub(super) fn tell(&self, news: impl FnOnce() + Send + 'static) {
        // nobody listens where the server has ended
        let _ = self.0.send(Box::new(news));
    }
}

async fn tell_all(mut news: UnboundedReceiver<News>) {
    while let Some(next) = news.recv().await {
        if let Err(error) = task::spawn_blocking(next).await {
            event::PoliciesUntold { error: display(&error) }.error();
        }
    }
}
