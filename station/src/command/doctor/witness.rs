//! The witnesses: whether each answers, and how much of the log it has cosigned.

use super::super::chain;
use super::{fail, ok, warn};
use crate::audit::{Checkpoint, VerifierKey};
use crate::event::CheckResult;
use crate::home::{Config, WitnessConfig};
use crate::witness::WitnessClient;

/// Asks every configured witness for the latest checkpoint that it has cosigned; `keys` are the log's, as far as they could be opened.
pub(super) async fn check(config: &Config, keys: &[VerifierKey]) -> Vec<CheckResult> {
    let mut results = Vec::new();
    for (index, witness) in config.audit.witnesses.iter().enumerate() {
        let check = format!("witness-{}", index + 1);
        results.push(ask(&check, witness, &config.station.name, keys).await);
    }
    results
}

async fn ask(
    check: &str,
    witness: &WitnessConfig,
    origin: &str,
    keys: &[VerifierKey],
) -> CheckResult {
    let asked = match WitnessClient::new(witness) {
        Ok(client) => {
            let name = client.key().name().to_owned();
            let latest = client.latest_checkpoint(origin).await;
            latest.map(|latest| (name, latest))
        }
        Err(error) => Err(error),
    };
    match asked {
        Ok((name, Some(note))) => match Checkpoint::verify_any(&note, keys) {
            Ok(checkpoint) => ok(
                check,
                format!("{name} has cosigned {} leaves", checkpoint.size),
            ),
            Err(error) => fail(
                check,
                format!(
                    "{name} has cosigned a log of this name that is not this one: {}",
                    chain(&error)
                ),
                "Find the other station of this name: each needs a name of its own.",
            ),
        },
        Ok((name, None)) => warn(
            check,
            format!("{name} answers, and has never cosigned this log"),
            "It must trust the log's key: hand it the verifier key (`keyline witness trust`).",
        ),
        Err(error) => fail(
            check,
            chain(&error),
            "Start the witness, check the network and its [[audit.witness]] in the configuration.",
        ),
    }
}
