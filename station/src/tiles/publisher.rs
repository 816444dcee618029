//! Who publishes: a task that follows the journal's checkpoints, behind the line's back.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::directory::TileDirectory;
use super::error::TilesError;
use super::publication::{Progress, Publication, ROUND_LEAVES_MAX};
use super::trunk::unverified;
use crate::error_text::chain;
use crate::journal::Journal;

/// Between two rounds, so that a busy line costs one checkpoint file a second and not one a commit.
const ROUND_PERIOD: Duration = Duration::from_secs(1);

/// So many waiting leaves begin a round at once.
const WAITING_MAX: u64 = ROUND_LEAVES_MAX / 2;

/// The longest wait after a failure; the first is [`ROUND_PERIOD`], each next one twice as long.
const RETRY_PERIOD_MAX: Duration = Duration::from_mins(1);

/// How publishing stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublisherStatus {
    /// The size of the published tree, as far as this process knows it.
    pub published: u64,
    /// Every file that was there before this process was looked at, and made anew where it was not right.
    pub checked: bool,
    /// Why the last round failed, and what to do.
    pub failure: Option<(String, &'static str)>,
}

/// Publishes a journal's log until it is closed.
pub struct Publisher {
    closing: oneshot::Sender<()>,
    task: JoinHandle<()>,
    status: watch::Receiver<PublisherStatus>,
}

/// The task and what it owns.
struct Work {
    publication: Publication,
    latest: watch::Receiver<Arc<str>>,
    status: watch::Sender<PublisherStatus>,
    /// How long the next wait after a failure is.
    retry: Duration,
}

/// Why a wait ended.
enum Woken {
    GoOn,
    Close,
    /// Nobody can close it, or write the journal, any more.
    Gone,
}

impl Publisher {
    /// Begins to publish in `directory`, as long as `free_space_min` bytes are left on its disk: the journal needs them more. Must be
    /// called inside a tokio runtime, by the owner of the home.
    ///
    /// Nothing waits for it, and nothing that happens to it stops the journal. Dropped without [`close`](Self::close), it ends after
    /// its round, without a last one.
    #[must_use]
    pub fn start(journal: &Journal, directory: TileDirectory, free_space_min: u64) -> Self {
        let (closing, closed) = oneshot::channel();
        let (status_sender, status) = watch::channel(PublisherStatus::default());
        let reader = (**journal).clone();
        let checkpoint = journal.checkpoint();
        let origin = checkpoint.lines().next().unwrap_or_default();
        let work = Work {
            publication: Publication::new(reader, directory, origin, free_space_min),
            latest: journal.checkpoints(),
            status: status_sender,
            retry: ROUND_PERIOD,
        };
        Self {
            closing,
            task: tokio::spawn(work.run(closed)),
            status,
        }
    }

    /// How it stands, now and later.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<PublisherStatus> {
        self.status.clone()
    }

    /// Publishes what is waiting, up to one round of it, and ends. To be called before the journal is closed. What is left over is
    /// published by the next one.
    pub async fn close(self) -> PublisherStatus {
        // A task that has ended already has nothing to hear.
        let _ = self.closing.send(());
        let _ = self.task.await;
        self.status.borrow().clone()
    }
}

impl Work {
    async fn run(mut self, mut closed: oneshot::Receiver<()>) {
        // A command that only says a word is over before the first period is: it then pays for one round and no more.
        let mut begun = Instant::now();
        let mut pause = self.quiet(begun, None, &mut closed).await;
        while matches!(pause, Woken::GoOn) {
            begun = Instant::now();
            let outcome = self.round().await;
            pause = match outcome {
                Ok(progress) if progress.behind => waiting(&mut closed),
                Ok(progress) => {
                    let published = Some(progress.published);
                    self.quiet(begun, published, &mut closed).await
                }
                Err(()) => self.backed_off(&mut closed).await,
            };
        }
        if matches!(pause, Woken::Close) {
            let _ = self.round().await;
        }
    }

    /// One round. A failure is told once.
    async fn round(&mut self) -> Result<Progress, ()> {
        let latest = Arc::clone(&self.latest.borrow_and_update());
        match self.publication.round(&latest).await {
            Ok(progress) => {
                self.retry = ROUND_PERIOD;
                self.status.send_modify(|status| {
                    status.published = progress.published;
                    status.checked = self.publication.checked();
                    if status.failure.take().is_some() {
                        tracing::info!("tiles.resumed: the log is published again");
                    }
                });
                Ok(progress)
            }
            Err(error) => {
                self.failed(&error);
                Err(())
            }
        }
    }

    fn failed(&self, error: &TilesError) {
        let failure = (chain(error), error.next());
        self.status.send_if_modified(|status| {
            let news = status.failure.as_ref() != Some(&failure);
            if news {
                tracing::warn!(tiles.error = %failure.0, next = failure.1, "tiles.failed: the log can't be published; the line goes on");
                status.failure = Some(failure);
            }
            news
        });
    }

    /// Waits until a period after `begun` has passed and there is something to publish; meanwhile looks through what is on disk.
    /// Before the first round nobody knows how much that is.
    async fn quiet(
        &mut self,
        begun: Instant,
        published: Option<u64>,
        closed: &mut oneshot::Receiver<()>,
    ) -> Woken {
        let next = begun + ROUND_PERIOD;
        loop {
            self.check().await;
            let due = Instant::now() >= next;
            let waits = |note: &Arc<str>| match published {
                None => due,
                Some(published) if due => size_of(note) > published,
                Some(published) => size_of(note) > published.saturating_add(WAITING_MAX),
            };
            let wake = match (due, self.publication.checked()) {
                (false, _) => Some(next),
                (true, false) => Some(Instant::now() + ROUND_PERIOD),
                (true, true) => None,
            };
            let sleep = async {
                match wake {
                    Some(wake) => tokio::time::sleep_until(wake).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                end = &mut *closed => return ended(&end),
                found = self.latest.wait_for(waits) => {
                    return if found.is_ok() { Woken::GoOn } else { Woken::Gone };
                }
                () = sleep => {}
            }
        }
    }

    /// Looks at some of the files that were there before.
    async fn check(&mut self) {
        if let Err(error) = self.publication.check().await {
            self.failed(&error);
        }
        let checked = self.publication.checked();
        self.status
            .send_if_modified(|status| std::mem::replace(&mut status.checked, checked) != checked);
    }

    async fn backed_off(&mut self, closed: &mut oneshot::Receiver<()>) -> Woken {
        let pause = self.retry;
        self.retry = (self.retry * 2).min(RETRY_PERIOD_MAX);
        tokio::select! {
            end = closed => ended(&end),
            () = tokio::time::sleep(pause) => Woken::GoOn,
        }
    }
}

/// The size of a tree, by its note; 0 where that is none.
fn size_of(note: &str) -> u64 {
    unverified(note).map_or(0, |checkpoint| checkpoint.size)
}

/// Whether somebody wishes to close, without waiting for it.
fn waiting(closed: &mut oneshot::Receiver<()>) -> Woken {
    match closed.try_recv() {
        Ok(()) => Woken::Close,
        Err(oneshot::error::TryRecvError::Empty) => Woken::GoOn,
        Err(oneshot::error::TryRecvError::Closed) => Woken::Gone,
    }
}

const fn ended(end: &Result<(), oneshot::error::RecvError>) -> Woken {
    match end {
        Ok(()) => Woken::Close,
        Err(_) => Woken::Gone,
    }
}
