//! The threads that speak to PKCS #11 modules: one a module, because a module's state belongs to the whole process.
//!
//! A module may take as long as it likes, or never return: whoever asks waits on a channel, with a deadline, and never blocks the
//! runtime. A thread lives as long as the process; it lets go of its module when the last key of it is closed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::connection::Connection;
use super::error::TokenError;

/// How long whoever asks waits for an answer: a network HSM that fails over takes seconds, a token that was pulled out takes for ever.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long he waits where the question before has not been answered yet: a line that stops must not wait again and again.
const IMPATIENT_TIMEOUT: Duration = Duration::from_secs(1);

/// How many questions may wait for one module. A journal asks one at a time.
const WAITING_MAX: usize = 16;

/// How long the end of the last key waits for its module to be let go of in good order: modules may crash a process that ends without.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(1);

type Task = Box<dyn FnOnce(&mut Connection) + Send>;

/// The modules of this process, by their file. This is global because PKCS #11 itself is.
static MODULES: Mutex<BTreeMap<PathBuf, Thread>> = Mutex::new(BTreeMap::new());

/// A thread, and who uses it.
#[derive(Clone)]
struct Thread {
    tasks: mpsc::Sender<Task>,
    users: Arc<()>,
    /// A question was not answered in time, and still is not.
    overdue: Arc<AtomicBool>,
}

/// A module that is in use.
pub(super) struct Module {
    tasks: mpsc::Sender<Task>,
    users: Option<Arc<()>>,
    overdue: Arc<AtomicBool>,
}

impl Module {
    /// The module in this file. It is loaded when it is first asked something.
    pub(super) fn of(file: &Path) -> Result<Self, TokenError> {
        let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = modules.get(file)
            && !thread.tasks.is_closed()
        {
            return Ok(Self::user(thread));
        }
        let (tasks, mut waiting) = mpsc::channel::<Task>(WAITING_MAX);
        let mut connection = Connection::new(file.to_owned());
        let overdue = Arc::new(AtomicBool::new(false));
        let answered = Arc::clone(&overdue);
        std::thread::Builder::new()
            .name("audit-token".to_owned())
            .spawn(move || {
                while let Some(task) = waiting.blocking_recv() {
                    task(&mut connection);
                    answered.store(false, Ordering::SeqCst);
                }
            })
            .map_err(|_| TokenError::Lost)?;
        let thread = Thread {
            tasks,
            users: Arc::new(()),
            overdue,
        };
        let module = Self::user(&thread);
        modules.insert(file.to_owned(), thread);
        Ok(module)
    }

    fn user(thread: &Thread) -> Self {
        Self {
            tasks: thread.tasks.clone(),
            users: Some(Arc::clone(&thread.users)),
            overdue: Arc::clone(&thread.overdue),
        }
    }

    /// Has the module's thread do this, and waits for its answer for so long as is reasonable.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, TokenError> + Send + 'static,
    ) -> Result<T, TokenError> {
        let (reply, answer) = oneshot::channel();
        let task: Task = Box::new(move |connection| {
            // Nobody waits any more: what was asked must not be done behind his back.
            if !reply.is_closed() {
                let _ = reply.send(work(connection));
            }
        });
        let asked = async {
            self.tasks.send(task).await.map_err(|_| TokenError::Lost)?;
            answer.await.map_err(|_| TokenError::Lost)?
        };
        let patience = if self.overdue.load(Ordering::SeqCst) {
            IMPATIENT_TIMEOUT
        } else {
            ANSWER_TIMEOUT
        };
        tokio::time::timeout(patience, asked)
            .await
            .unwrap_or_else(|_| {
                self.overdue.store(true, Ordering::SeqCst);
                Err(TokenError::Silent {
                    seconds: patience.as_secs(),
                })
            })
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        let modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
        // The table has one, this has one: nobody else. Whoever comes next waits for the table.
        let last = self
            .users
            .take()
            .is_some_and(|users| Arc::strong_count(&users) == 2);
        if !last {
            return;
        }
        let (released, wait) = std::sync::mpsc::sync_channel(1);
        let task: Task = Box::new(move |connection| {
            connection.disconnect();
            let _ = released.send(());
        });
        if self.tasks.try_send(task).is_ok() {
            let _ = wait.recv_timeout(RELEASE_TIMEOUT);
        }
        drop(modules);
    }
}
