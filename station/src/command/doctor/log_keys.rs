//! The keys of the audit log: each is opened, looked at, and has signed something that is no checkpoint.

use std::path::Path;

use super::super::chain;
use super::{fail, ok, warn};
use crate::app::open_signer;
use crate::audit::{CheckpointSigner, VerifierKey};
use crate::event::CheckResult;
use crate::home::Config;
use crate::journal::{JournalReader, LogKey};

/// Looks at every configured key; gives those that could be opened too.
pub(super) async fn check(home: &Path, config: &Config) -> (Vec<CheckResult>, Vec<VerifierKey>) {
    let mut results = Vec::new();
    let mut opened = Vec::new();
    let known = known(home, config).await;
    for (index, key) in config.audit.keys.iter().enumerate() {
        let check = match index {
            0 => "audit-key".to_owned(),
            index => format!("audit-key-{}", index + 1),
        };
        let signer = open_signer(home, key).await;
        let verifier = signer.and_then(|signer| {
            let verifier = signer.verifier_key(&config.station.name)?;
            Ok((signer, verifier))
        });
        match verifier {
            Ok((signer, verifier)) => {
                let retired = known.iter().find(|known| known.key == verifier);
                results.push(match retired.and_then(|known| known.retired_at) {
                    Some(leaf) => warn(
                        &check,
                        format!(
                            "the key {:08x} was retired by leaf {leaf}: it signs nothing more",
                            verifier.key_id()
                        ),
                        "Remove its [[audit.key]] from the configuration, and destroy the key.",
                    ),
                    None => describe(&check, &signer),
                });
                opened.push(verifier);
            }
            Err(error) => results.push(fail(&check, chain(&error), error.next())),
        }
    }
    (results, opened)
}

/// The keys that the log knows. What is wrong with a journal that can't say, its own check tells.
async fn known(home: &Path, config: &Config) -> Vec<LogKey> {
    let read = async {
        let journal = JournalReader::open(&home.join(&config.journal.path)).await?;
        journal.log_keys().await
    };
    read.await.unwrap_or_default()
}

fn describe(check: &str, signer: &CheckpointSigner) -> CheckResult {
    match signer {
        CheckpointSigner::File(_) => warn(
            check,
            "the key is a file: whoever reads it can sign in this station's name".to_owned(),
            "Fine to try things out; for a factory keep the key in a PKCS #11 token.",
        ),
        CheckpointSigner::Token(signer) => {
            let key = signer.key();
            let found = format!(
                "the key \"{}\" in the token \"{}\" signs, is sensitive and not extractable",
                key.label, key.token
            );
            if signer.born_in_token() {
                ok(check, found)
            } else {
                warn(
                    check,
                    format!("{found}, but the token does not say that it always was"),
                    "A copy may exist where it came from; `keyline audit key make` makes one that was never outside.",
                )
            }
        }
    }
}
