//! `keyline audit prove`.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use super::super::read::unit_named;
use super::super::{CommandError, chain};
use super::open::{OpenLog, log_refused};
use super::warn::{warn_of_more, warn_of_quorum};
use crate::audit::{TlogProof, TrustPolicy};
use crate::dossier::{self, Dossier, Outcome, RegistryRecord};
use crate::event::{Event, EventSink};
use crate::record::{DeviceIdText, Proof};
use crate::registry::{ClaimRecord, Registry, RegistryError, StoredProof};

/// Makes a unit's dossier and writes it.
pub(super) async fn run(
    log: &OpenLog,
    unit: &str,
    out: &Path,
    tlog_proofs: Option<&Path>,
    sink: &dyn EventSink,
) -> Result<(), CommandError> {
    let device_id = match DeviceIdText::try_from(unit.to_owned()) {
        Ok(device_id) => device_id,
        Err(_) => unit_named(&log.journal, unit).await?.device_id,
    };
    let registry = match log.registry().await {
        Ok(registry) => {
            warn_of_more(log, Some(&registry), sink).await?;
            let record = ask(&registry, device_id).await;
            registry.close().await;
            record.map_err(|error| chain(&error))
        }
        Err(words) => {
            warn_of_more(log, None, sink).await?;
            Err(words)
        }
    };
    let registry = registry
        .inspect_err(|words| {
            sink.emit(Event::Warning {
                message: format!("the registry was not asked: {words}"),
                next: "The dossier then does not say whether the cloud trusts the unit; make it again when the registry answers.".to_owned(),
            });
        })
        .ok();
    let dossier = dossier::make(&log.journal, &log.log, device_id, registry).await?;
    refuse_broken(log, &dossier).await?;
    warn_of_quorum(log, &dossier.checkpoint, sink).await?;
    write_new(out, &text(&dossier)?)?;
    if let Some(directory) = tlog_proofs {
        write_proofs(&dossier, directory)?;
    }
    sink.emit(Event::Notice {
        message: format!(
            "Wrote the dossier of unit {} with {} leaves to {}.\nCheck it anywhere: keyline audit verify {} --policy FILE",
            device_id.0,
            dossier.entries.len(),
            out.display(),
            out.display()
        ),
    });
    Ok(())
}

/// Checks the dossier as its reader will: what this station can't vouch for itself it does not hand out. Whether enough witnesses have
/// cosigned is another matter, and only warned of.
async fn refuse_broken(log: &OpenLog, dossier: &Dossier) -> Result<(), CommandError> {
    let keys = log.every_key().await?;
    let own = TrustPolicy::of_station(&keys, &[], 0).map_err(log_refused)?;
    let verdict = dossier::verify(dossier, &own);
    let broken = verdict.findings.into_iter();
    let mut broken = broken.filter(|finding| finding.outcome == Outcome::Broken);
    match broken.next() {
        None => Ok(()),
        Some(first) => Err(CommandError::Evidence {
            what: "dossier",
            words: format!("{}: {}", first.check, first.words),
        }),
    }
}

async fn ask(
    registry: &Registry,
    device_id: DeviceIdText,
) -> Result<RegistryRecord, RegistryError> {
    let pins = registry.keys_of(device_id).await?;
    let keys: Vec<_> = pins.iter().map(|pin| pin.fingerprint).collect();
    Ok(RegistryRecord {
        history: registry.history(device_id).await?,
        proofs: readable(registry.claims_of_keys(&keys).await?),
        pins,
    })
}

/// The first proof of each key. One that can't be read is as good as none: the pin then stands without.
fn readable(claims: Vec<ClaimRecord>) -> Vec<Proof> {
    let proofs = claims.into_iter().filter_map(|claim| match claim.proof {
        Some(StoredProof::Readable(proof)) => Some(*proof),
        Some(StoredProof::Unreadable(_)) | None => None,
    });
    proofs.collect()
}

fn text(dossier: &Dossier) -> Result<String, CommandError> {
    serde_json::to_string_pretty(dossier)
        .map(|text| text + "\n")
        .map_err(|error| CommandError::System {
            doing: "write a dossier as JSON",
            source: error.into(),
        })
}

/// A file beside what is there, whole or not at all.
pub(in crate::command) fn write_new(path: &Path, text: &str) -> Result<(), CommandError> {
    let failed = |source| CommandError::Output {
        path: path.to_owned(),
        source,
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(failed)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    written.map_err(|source| {
        // Half a file would only confuse; that it can't be removed is less than that it can't be written.
        let _ = fs::remove_file(path);
        failed(source)
    })
}

/// A C2SP proof file for each entry, beside the leaf that it is about.
fn write_proofs(dossier: &Dossier, directory: &Path) -> Result<(), CommandError> {
    fs::create_dir(directory).map_err(|source| CommandError::Output {
        path: directory.to_owned(),
        source,
    })?;
    for entry in &dossier.entries {
        let proof = TlogProof {
            extra: None,
            index: entry.index,
            path: entry.path.0.clone(),
            note: dossier.checkpoint.clone(),
        };
        let name = directory.join(format!("{}.tlog-proof", entry.index));
        write_new(&name, &proof.to_string())?;
        let leaf = name.with_extension("leaf");
        fs::write(&leaf, &entry.leaf).map_err(|source| CommandError::Output {
            path: leaf.clone(),
            source,
        })?;
    }
    Ok(())
}
