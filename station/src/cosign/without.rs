//! Whether the witnesses would still cosign when a key of the log has signed for the last time.

use futures_util::future::join_all;

use super::{Answer, CosignError, Cosigner, EDGE_PATIENCE, Refusal, policy_of};
use crate::audit::{Checkpoint, SignedNote, VerifierKey};
use crate::journal::JournalError;

impl Cosigner {
    /// Shows the witnesses the latest checkpoint without the signature of `key`. Gives who did not cosign it and why, where those who
    /// did are not enough for the configuration; nobody where none are needed.
    ///
    /// # Errors
    /// [`CosignError`] where the checkpoint can't be read or the configuration makes no policy.
    pub async fn silent_without(&self, key: &VerifierKey) -> Result<Vec<String>, CosignError> {
        let rounds = &self.rounds;
        if !rounds.counts() {
            return Ok(Vec::new());
        }
        // Who is shown a later checkpoint meanwhile cosigns no earlier one.
        let _turn = rounds.done.lock().await;
        let mut note =
            SignedNote::parse(&rounds.journal.checkpoint()).map_err(JournalError::Audit)?;
        let size = Checkpoint::parse(&note.text)
            .map_err(JournalError::Audit)?
            .size;
        note.signatures
            .retain(|line| line.name != key.name() || line.key_id != key.key_id());
        let mut cosigned = note.to_string();
        let shown = cosigned.clone();
        let asked = rounds
            .witnesses
            .iter()
            .map(|witness| witness.ask(&rounds.log, &shown, size, EDGE_PATIENCE));
        let mut silent = Vec::new();
        for answer in join_all(asked).await {
            match answer {
                Answer::Cosigned { line, .. } => {
                    cosigned.push_str(&line);
                    cosigned.push('\n');
                }
                Answer::Refused(Refusal::Disputed(words) | Refusal::Silent(words)) => {
                    silent.push(words);
                }
            }
        }
        let mut keys = rounds.journal.verifier_keys().to_vec();
        keys.retain(|other| other != key);
        let policy = policy_of(&rounds.config, &keys).map_err(CosignError::Policy)?;
        if policy.check(&cosigned).is_ok() {
            silent.clear();
        }
        Ok(silent)
    }
}
