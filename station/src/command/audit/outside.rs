//! What is known of a log outside of its home: what the witnesses say, and whether the auditor's quorum has seen it at all.
//!
//! Whom to ask, where, and how many of them have to agree is taken from the auditor's policy. The home's configuration may only add to
//! that: whoever put an old copy of the home back wrote its configuration too.

use std::path::PathBuf;

use super::open::OpenLog;
use crate::app::{AppError, REGISTRY_MISSING_NEXT};
use crate::audit::{Checkpoint, SignedNote, TrustPolicy, WitnessKey};
use crate::error_text::chain;
use crate::event::{CheckResult, CheckState};
use crate::home::WitnessConfig;
use crate::journal::JournalError;
use crate::reconcile::KnownCheckpoint;
use crate::witness::WitnessClient;

/// What was found outside of the home.
#[derive(Default)]
pub(super) struct Outside {
    /// Checkpoints to be held against the tree.
    pub(super) known: Vec<KnownCheckpoint>,
    pub(super) checks: Vec<CheckResult>,
    /// The witnesses that said something that can be used: that they know the log, or that they do not.
    answered: Vec<WitnessKey>,
}

impl Outside {
    /// How many checks failed.
    pub(super) fn failures(&self) -> usize {
        let failed = |check: &&CheckResult| check.state == CheckState::Fail;
        self.checks.iter().filter(failed).count()
    }

    /// The registry's file is gone, and with it the pins of which the log speaks.
    pub(super) fn registry_missing(&mut self, path: PathBuf, pinned: u64) {
        let found = AppError::RegistryMissing { path, pinned }.to_string();
        self.tell(
            "registry-missing",
            CheckState::Fail,
            found,
            REGISTRY_MISSING_NEXT,
        );
    }

    pub(super) fn left_out(&mut self, words: &str) {
        let next = "What nobody outside has seen, nobody outside can vouch for.";
        self.tell("outside", CheckState::Warn, words.to_owned(), next);
    }

    fn tell(&mut self, check: &str, state: CheckState, found: String, next: &str) {
        self.checks.push(CheckResult {
            check: check.to_owned(),
            state,
            found,
            next: next.to_owned(),
        });
    }

    /// Asks the policy's witnesses, then those that only the home's configuration names, for the latest checkpoint that each has cosigned.
    pub(super) async fn ask_witnesses(
        &mut self,
        log: &OpenLog,
        policy: Option<&TrustPolicy>,
        origin: &str,
    ) {
        let mut trusted = Vec::new();
        for witness in policy.iter().flat_map(|policy| policy.witnesses()) {
            trusted.push(witness.key.public_key());
            // The home's URL for this witness is no substitute: an old answer of the witness can be served from there.
            let url = witness.url.map(String::from_utf8_lossy);
            match url {
                Some(url) => {
                    let asked = (witness.key.to_string(), url.into_owned());
                    self.ask(asked, origin, true).await;
                }
                None => self.left_out(&format!(
                    "witness {} was not asked: the policy has no URL of it",
                    witness.key.name()
                )),
            }
        }
        for extra in &log.config.audit.witnesses {
            let key = WitnessKey::parse(&extra.key);
            if !key.is_ok_and(|key| trusted.contains(&key.public_key())) {
                let asked = (extra.key.clone(), extra.url.clone());
                self.ask(asked, origin, false).await;
            }
        }
        if self.answered.is_empty() {
            self.left_out(
                "no witness was heard: an old copy of this home would look like this one",
            );
        }
        if let Some(policy) = policy
            && !policy.is_quorum(|key| self.answered.contains(key))
        {
            let mut silent = policy.quorum_witnesses();
            silent.retain(|witness| !self.answered.contains(witness.key));
            let names: Vec<_> = silent.iter().map(|one| one.key.name()).collect();
            let found = format!(
                "expected an answer of as many witnesses as the policy's quorum asks for, heard nothing of {}",
                names.join(", ")
            );
            let next = "Bring these witnesses in reach of this machine, at the URLs in the policy, or leave them out knowingly with --offline.";
            self.tell("quorum", CheckState::Fail, found, next);
        }
    }

    /// The latest checkpoint that a witness has cosigned. `trusted`: the policy names it.
    async fn ask(&mut self, (key, url): (String, String), origin: &str, trusted: bool) {
        let config = WitnessConfig {
            key,
            url,
            required: true,
        };
        let client = match WitnessClient::new(&config) {
            Ok(client) => client,
            Err(error) => return self.left_out(&chain(&error)),
        };
        let name = client.key().name();
        match client.latest_checkpoint(origin).await {
            Ok(Some(note)) if origin_of(&note).as_deref() != Some(origin) => {
                self.left_out(&format!(
                    "expected a checkpoint of {origin} from witness {name}, got one of another log"
                ));
                return;
            }
            Ok(Some(note)) => self.known.push(KnownCheckpoint {
                source: format!("witness {name}"),
                note,
                cosigned: trusted,
            }),
            Ok(None) => self.left_out(&format!("witness {name} has never cosigned this log")),
            Err(error) => return self.left_out(&chain(&error)),
        }
        self.answered.push(client.key().clone());
    }

    /// Looks in the home for the latest checkpoint with the cosignatures that the policy's quorum asks for. Whether it lies in the tree is
    /// found out with the others.
    pub(super) async fn find_witnessed(
        &mut self,
        log: &OpenLog,
        policy: &TrustPolicy,
    ) -> Result<(), JournalError> {
        if policy.quorum_witnesses().is_empty() {
            let found = "the policy's quorum asks for no witness: that nothing was taken back is the station's word";
            let next = "Name the log's witnesses and a quorum in the policy, as whoever runs the witnesses gave them to you.";
            self.tell("quorum", CheckState::Warn, found.to_owned(), next);
            return Ok(());
        }
        // A key that joined by a leaf is held against that leaf elsewhere; the cosignatures have to be by the policy's witnesses.
        let keys = log.journal.log_keys().await?;
        let keys: Vec<_> = keys.into_iter().map(|key| key.key).collect();
        let policy = policy.trusting(&keys);
        let note = log
            .journal
            .witnessed_checkpoint(|note| policy.check(note).is_ok())
            .await?;
        let Some(note) = note else {
            let found = "expected a checkpoint with the cosignatures that the policy's quorum asks for, the home has none";
            let next = "Do not trust this log: its witnesses have not vouched for any of it, or their word was removed from the home.";
            self.tell("quorum", CheckState::Fail, found.to_owned(), next);
            return Ok(());
        };
        let witnessed = size_of(&note).unwrap_or(0);
        let size = size_of(&log.journal.latest_checkpoint().await?).unwrap_or(witnessed);
        let found = format!(
            "the first {witnessed} of {size} leaves are cosigned as the policy's quorum asks; the rest is the station's word so far"
        );
        self.tell("quorum", CheckState::Ok, found, "");
        self.known.push(KnownCheckpoint {
            source: "the latest checkpoint under the policy's quorum".to_owned(),
            note,
            cosigned: true,
        });
        Ok(())
    }
}

fn checkpoint_of(note: &str) -> Option<Checkpoint> {
    let note = SignedNote::parse(note).ok()?;
    Checkpoint::parse(&note.text).ok()
}

fn origin_of(note: &str) -> Option<String> {
    checkpoint_of(note).map(|checkpoint| checkpoint.origin)
}

fn size_of(note: &str) -> Option<u64> {
    checkpoint_of(note).map(|checkpoint| checkpoint.size)
}
