//! Has the log's checkpoints cosigned: by its witnesses, and by the registry, which keeps them too.
//!
//! A round shows the latest checkpoint to all of them side by side. Whoever knows another log under this name, or a larger one, disputes
//! it: then nothing more is signed, because the home was put back from an old copy, or somebody else signs in its name. Whoever does not
//! answer is asked again in the next round; how long a station may go on without is the journal's to decide
//! ([`Journal::bound_ahead`]).
//!
//! No round is on a unit's way. One is made before anything is written after the home was opened, then whenever the log has grown: every
//! five seconds, and at once where it has come half as far ahead as it may. One more is made when the home is let go of.

mod ask;
mod without;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::audit::{AuditError, Checkpoint, SignedNote, TrustPolicy, VerifierKey, WitnessKey};
use crate::home::{AuditConfig, mark_disputed};
use crate::journal::{AheadBounds, Journal, JournalError, StoredCosignature};
use crate::record::StationId;
use crate::registry::Registry;
use crate::tiles::LogReader;
use crate::witness::{WitnessClient, WitnessError};
use ask::{Answer, Asked, Refusal};

/// How long the first and the last round may take: they are on a command's way.
const EDGE_PATIENCE: Duration = Duration::from_secs(3);

/// How often is looked whether the log has grown: a fast line appends some thousand leaves meanwhile.
const LOOK_PERIOD: Duration = Duration::from_millis(100);

/// The least time between two rounds, as long as the log is not far ahead of its witnesses.
const ROUND_PERIOD: Duration = Duration::from_secs(5);

/// The least time between two rounds where the log is far ahead and the last round did not help: nobody is asked more often than that.
const RETRY_PERIOD: Duration = Duration::from_secs(1);

/// Why checkpoints can't be cosigned.
#[derive(Debug, thiserror::Error)]
pub enum CosignError {
    /// A witness in the configuration can't be used.
    #[error("a witness in the configuration can't be used")]
    Witness(#[from] WitnessError),
    /// The witnesses and keys make no policy.
    #[error("the witnesses in the configuration make no policy")]
    Policy(#[source] AuditError),
    /// The journal.
    #[error("the journal refused")]
    Journal(#[from] JournalError),
}

/// The policy that a configuration and the log's keys mean.
///
/// # Errors
/// [`AuditError`] where a witness's key can't be read or stands there twice.
pub fn policy_of(config: &AuditConfig, keys: &[VerifierKey]) -> Result<TrustPolicy, AuditError> {
    let witnesses = config
        .witnesses
        .iter()
        .map(|witness| {
            let key = WitnessKey::parse(&witness.key)?;
            Ok((key, witness.url.clone(), witness.required))
        })
        .collect::<Result<Vec<_>, AuditError>>()?;
    TrustPolicy::of_station(keys, &witnesses, config.cosignatures_min)
}

/// What became of a round.
#[derive(Debug, Default)]
pub struct Round {
    /// How many leaves the checkpoint covers that was shown.
    pub size: u64,
    /// The checkpoint with the cosignatures that it has now.
    pub note: String,
    /// Whether it has the cosignatures that the configuration asks for.
    pub witnessed: bool,
    /// Who knows another log under this name, and what it knows.
    pub disputes: Vec<String>,
    /// Who gave no cosignature, and why.
    pub silent: Vec<String>,
}

impl Round {
    fn note_refusal(&mut self, refusal: Refusal) {
        match refusal {
            Refusal::Disputed(words) => self.disputes.push(words),
            Refusal::Silent(words) => self.silent.push(words),
        }
    }
}

/// Has checkpoints cosigned for as long as a home is open.
pub struct Cosigner {
    rounds: Arc<Rounds>,
    task: Option<JoinHandle<()>>,
}

/// What the rounds work with.
struct Rounds {
    /// Where a dispute is kept.
    home: PathBuf,
    journal: Journal,
    log: LogReader,
    config: AuditConfig,
    station: StationId,
    witnesses: Vec<Asked>,
    registry: Mutex<Option<Registry>>,
    /// One round at a time; the note of the last one that everybody has cosigned.
    done: Mutex<Option<Arc<str>>>,
    /// How many leaves the largest checkpoint covers that has enough cosignatures.
    witnessed_size: AtomicU64,
}

impl Cosigner {
    /// Makes the first round, within three seconds, before anything is written. What somebody disputes is kept in `home`. `registry` is asked too, where there is one.
    ///
    /// # Errors
    /// [`CosignError`]; [`JournalError::Disputed`] where somebody knows another log under this name.
    pub async fn begin(
        home: &Path,
        journal: &Journal,
        log: LogReader,
        config: &AuditConfig,
        station: StationId,
        registry: Option<Registry>,
    ) -> Result<Self, CosignError> {
        let witnesses = config
            .witnesses
            .iter()
            .map(|witness| WitnessClient::new(witness).map(Asked::new))
            .collect::<Result<_, _>>()?;
        let rounds = Arc::new(Rounds {
            home: home.to_owned(),
            journal: journal.clone(),
            log,
            config: config.clone(),
            station,
            witnesses,
            registry: Mutex::new(registry),
            done: Mutex::default(),
            witnessed_size: AtomicU64::default(),
        });
        if rounds.counts() {
            let size = rounds.known_size().await?;
            rounds
                .witnessed_size
                .store(size.unwrap_or(0), Ordering::SeqCst);
            journal.keep_cosignatures(Vec::new(), size).await?;
            journal
                .bound_ahead(AheadBounds {
                    leaves_max: config.ahead_leaves_max,
                    hours_max: config.ahead_hours_max,
                })
                .await?;
        }
        let round = rounds.round(EDGE_PATIENCE).await?;
        if let Some(cause) = round.disputes.first() {
            return Err(JournalError::Disputed {
                cause: cause.clone(),
            }
            .into());
        }
        Ok(Self { rounds, task: None })
    }

    /// Makes a round whenever the log has grown, until the home is let go of.
    pub fn keep_going(&mut self) {
        let rounds = Arc::clone(&self.rounds);
        self.task = Some(tokio::spawn(async move {
            let (mut last, mut helped) = (Instant::now(), true);
            loop {
                tokio::time::sleep(LOOK_PERIOD).await;
                let period = match (rounds.far_ahead(), helped) {
                    (true, true) => Duration::ZERO,
                    (true, false) => RETRY_PERIOD,
                    (false, _) => ROUND_PERIOD,
                };
                if last.elapsed() < period || rounds.is_done().await {
                    continue;
                }
                let round = rounds.round(ROUND_PERIOD).await;
                helped = round.as_ref().is_ok_and(|round| round.witnessed);
                if let Err(error) = round {
                    tracing::warn!(cosign.error = %crate::error_text::chain(&error), "the log's checkpoint was not cosigned");
                }
                last = Instant::now();
            }
        }));
    }

    /// The registry is there: it keeps the checkpoints from the next one on.
    pub async fn with_registry(&self, registry: &Registry) {
        let mut known = self.rounds.registry.lock().await;
        known.get_or_insert_with(|| registry.clone());
    }

    /// Makes a round now.
    ///
    /// # Errors
    /// [`CosignError`] where the journal or the tree can't be read, or the journal can't keep what was said.
    pub async fn round(&self) -> Result<Round, CosignError> {
        self.rounds.round(EDGE_PATIENCE).await
    }

    /// Keeps rounds from beginning until the value is dropped, so that a snapshot of the log can still be cosigned as it is: whoever
    /// has seen a later checkpoint cosigns no earlier one.
    pub async fn hold(&self) -> Held<'_> {
        Held {
            rounds: &self.rounds,
            done: self.rounds.done.lock().await,
        }
    }

    /// How many leaves the latest checkpoint covers that has the cosignatures which the configuration asks for.
    ///
    /// # Errors
    /// [`CosignError`] where the journal can't say.
    pub async fn witnessed_size(&self) -> Result<Option<u64>, CosignError> {
        if self.rounds.counts() {
            self.rounds.known_size().await
        } else {
            Ok(None)
        }
    }

    /// Makes a last round, within three seconds, where the log has grown since the one before.
    pub async fn end(mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            // It was told to end; how it ended says nothing.
            let _ = task.await;
        }
        if self.rounds.is_done().await {
            return;
        }
        if let Err(error) = self.rounds.round(EDGE_PATIENCE).await {
            tracing::warn!(cosign.error = %crate::error_text::chain(&error), "the log's last checkpoint was not cosigned");
        }
    }
}

/// No round begins while this is held.
pub struct Held<'c> {
    rounds: &'c Rounds,
    done: tokio::sync::MutexGuard<'c, Option<Arc<str>>>,
}

impl Held<'_> {
    /// Shows one checkpoint, which was the latest when this was taken, and gives it with its cosignatures.
    ///
    /// # Errors
    /// As [`Cosigner::round`].
    pub async fn cosign(mut self, note: &str) -> Result<String, CosignError> {
        let shown = self
            .rounds
            .show(note.into(), &mut self.done, EDGE_PATIENCE)
            .await?;
        Ok(shown.note)
    }
}

/// How many leaves a note's checkpoint covers.
fn size_of(note: &str) -> Option<u64> {
    let note = SignedNote::parse(note).ok()?;
    Some(Checkpoint::parse(&note.text).ok()?.size)
}

impl Rounds {
    /// Whether it matters to the line that checkpoints are cosigned.
    fn counts(&self) -> bool {
        self.config.cosignatures_min > 0 || self.config.witnesses.iter().any(|one| one.required)
    }

    /// Whether the log has come half as far ahead of its witnesses as it may: a line that goes on would soon be stopped.
    fn far_ahead(&self) -> bool {
        let witnessed = self.witnessed_size.load(Ordering::SeqCst);
        let size = size_of(&self.journal.checkpoint()).unwrap_or(0);
        self.counts() && size.saturating_sub(witnessed) > self.config.ahead_leaves_max / 2
    }

    fn policy(&self) -> Result<TrustPolicy, CosignError> {
        policy_of(&self.config, &self.journal.verifier_keys()).map_err(CosignError::Policy)
    }

    /// The size of the largest checkpoint that is known to have enough cosignatures.
    async fn known_size(&self) -> Result<Option<u64>, CosignError> {
        let policy = self.policy()?;
        let known = self
            .journal
            .witnessed_checkpoint(|note| policy.check(note).is_ok())
            .await?;
        Ok(known.as_deref().and_then(size_of))
    }

    /// Whether everybody has cosigned the latest checkpoint.
    async fn is_done(&self) -> bool {
        let nobody = self.witnesses.is_empty() && self.registry.lock().await.is_none();
        nobody || self.done.lock().await.as_deref() == Some(&*self.journal.checkpoint())
    }

    async fn round(&self, patience: Duration) -> Result<Round, CosignError> {
        let mut done = self.done.lock().await;
        self.show(self.journal.checkpoint(), &mut done, patience)
            .await
    }

    /// Shows one checkpoint to everybody and keeps what they say.
    async fn show(
        &self,
        note: Arc<str>,
        done: &mut Option<Arc<str>>,
        patience: Duration,
    ) -> Result<Round, CosignError> {
        let checkpoint = SignedNote::parse(&note)
            .and_then(|parsed| Checkpoint::parse(&parsed.text))
            .map_err(JournalError::Audit)?;
        let mut round = Round {
            size: checkpoint.size,
            ..Round::default()
        };
        let mut cosigned = note.to_string();
        let mut cosignatures = Vec::new();
        let asked = self
            .witnesses
            .iter()
            .map(|witness| witness.ask(&self.log, &note, checkpoint.size, patience));
        for answer in join_all(asked).await {
            match answer {
                Answer::Cosigned {
                    witness,
                    line,
                    time_s,
                } => {
                    cosigned.push_str(&line);
                    cosigned.push('\n');
                    cosignatures.push(StoredCosignature {
                        tree_size: checkpoint.size,
                        witness,
                        line,
                        time_s,
                    });
                }
                Answer::Refused(refusal) => round.note_refusal(refusal),
            }
        }
        self.show_registry(&note, &checkpoint, patience, &mut round)
            .await;
        round.witnessed = self.counts() && self.policy()?.check(&cosigned).is_ok();
        round.note = cosigned;
        let witnessed_size = round.witnessed.then_some(checkpoint.size);
        if let Some(cause) = round.disputes.first() {
            self.dispute(cause).await?;
        }
        if !cosignatures.is_empty() {
            self.journal
                .keep_cosignatures(cosignatures, witnessed_size)
                .await?;
        }
        if let Some(size) = witnessed_size {
            self.witnessed_size.fetch_max(size, Ordering::SeqCst);
        }
        for words in &round.silent {
            tracing::warn!(cosign.silent = %words, "no cosignature");
        }
        if round.silent.is_empty() {
            *done = Some(note);
        }
        Ok(round)
    }

    /// Nothing more is signed, before anything else is done: not by this process, and not by one that meets silence in its place.
    async fn dispute(&self, cause: &str) -> Result<(), CosignError> {
        tracing::error!(cosign.dispute = %cause, "the log is disputed");
        if let Err(error) = mark_disputed(&self.home, cause) {
            let error = crate::error_text::chain(&error);
            tracing::error!(%error, "that the log is disputed can't be kept in the home");
        }
        Ok(self.journal.dispute(cause).await?)
    }

    /// Enters the checkpoint in the registry, which refuses one that takes something back.
    async fn show_registry(
        &self,
        note: &str,
        checkpoint: &Checkpoint,
        patience: Duration,
        round: &mut Round,
    ) {
        let Some(registry) = self.registry.lock().await.clone() else {
            return;
        };
        let entered = ask::enter(&registry, &self.log, self.station, note, checkpoint);
        match tokio::time::timeout(patience, entered).await {
            Ok(Ok(())) => {}
            Ok(Err(refusal)) => round.note_refusal(refusal),
            Err(_) => round.note_refusal(Refusal::Silent(
                "the registry did not answer in time".to_owned(),
            )),
        }
    }
}
