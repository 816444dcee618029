//! `keyline pin revoke|rotate` and `unit return`: what two people of a roster have to want. One command writes the act to be signed,
//! another carries out the signed one.

use std::path::{Path, PathBuf};

use p256::ecdsa::Signature;

use super::act::Act;
use super::arguments::{ActArguments, PinCommand};
use super::audit::write_new;
use super::lower::{absolute, checked_reason};
use super::read::{unit_named, unknown};
use super::{ActDraft, ActOrder, CommandError, Name, Request};
use crate::authority::{
    ACT_LIFETIME_DEFAULT_MS, AcceptedBundle, Act as AuthorityAct, ActKind, ActTerms, ApprovedAct,
    BundleKind, Possession,
};
use crate::clock::wall_ms;
use crate::fleet::DeviceKey;
use crate::record::{AlgorithmName, Change, DeviceIdText};
use crate::registry::{Registry, TwoPersonAct};
use keyline_protocol::identity::{Algorithm, fingerprint};

/// The longest file of an act or a signature, in bytes.
const FILE_LENGTH_MAX: u64 = 131_072;

/// Makes a request of what was typed after `keyline pin`.
pub(super) fn lower(command: PinCommand) -> Result<Request, CommandError> {
    Ok(match command {
        PinCommand::Show { unit } => Request::PinShow { unit },
        PinCommand::Revoke(act) => two_people(ActKind::PinRevoke, act, None, None)?,
        PinCommand::Rotate {
            act,
            new_key,
            possession,
        } => two_people(ActKind::PinRotate, act, Some(new_key), possession)?,
    })
}

/// The act to be signed where a reason is given, else the signed one to be carried out.
pub(super) fn two_people(
    kind: ActKind,
    typed: ActArguments,
    new_key: Option<PathBuf>,
    possession: Option<PathBuf>,
) -> Result<Request, CommandError> {
    let ActArguments {
        unit,
        reason,
        out,
        act,
        roster,
    } = typed;
    if let (Some(reason), Some(out)) = (reason, out) {
        return Ok(Request::ActDraft(Box::new(ActDraft {
            kind,
            unit,
            new_key: new_key
                .map(|path| read_key(&path).map(|(_, key)| key))
                .transpose()?,
            reason,
            out: absolute(&out)?,
        })));
    }
    let (Some(act), Some(roster)) = (act, roster) else {
        return Err(CommandError::Usage {
            message: "expected --reason and --out for an act that is to be signed, or --act and --roster for one that two people signed"
                .to_owned(),
        });
    };
    let shown = match (new_key, possession) {
        (Some(key), Some(signature)) => Some(read_possession(&key, &signature)?),
        _ => None,
    };
    Ok(Request::ActCarryOut(Box::new(ActOrder {
        kind,
        unit,
        note: read_act(&act)?,
        roster,
        possession: shown,
    })))
}

/// The new key of a device: SPKI DER and algorithm.
fn read_key(path: &Path) -> Result<(AlgorithmName, Vec<u8>), CommandError> {
    let text = read_act(path)?;
    let key = DeviceKey::parse(&text).map_err(|error| CommandError::Advice {
        message: format!("the key in {} can't be used: {error}", path.display()),
        next: error.next().to_owned(),
    })?;
    Ok((AlgorithmName(key.algorithm()), key.into_spki()))
}

/// The signature by which the new key's holder shows that he has it, over the act's text. One of P-256 may be in DER, as openssl writes it.
fn read_possession(key: &Path, signature: &Path) -> Result<Possession, CommandError> {
    let (algorithm, public_key) = read_key(key)?;
    let bytes = read(signature)?;
    let signature = match Signature::from_der(&bytes) {
        Ok(fixed) if algorithm.0 == Algorithm::P256 => fixed.to_bytes().to_vec(),
        _ => bytes,
    };
    Ok(Possession {
        algorithm,
        public_key,
        signature,
    })
}

/// The content of a file with an act or a key.
fn read_act(path: &Path) -> Result<String, CommandError> {
    String::from_utf8(read(path)?).map_err(|_| CommandError::Usage {
        message: format!("expected text in {}, got something else", path.display()),
    })
}

fn read(path: &Path) -> Result<Vec<u8>, CommandError> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    crate::regular_file::open(path)
        .and_then(|file| file.take(FILE_LENGTH_MAX).read_to_end(&mut bytes))
        .map_err(|source| CommandError::Input {
            path: path.to_owned(),
            source,
        })?;
    Ok(bytes)
}

impl Act<'_> {
    /// The unit of this name; one of another station is known to the registry only, by its device id.
    async fn device_named(&self, name: &str) -> Result<DeviceIdText, CommandError> {
        match DeviceIdText::try_from(name.to_owned()) {
            Ok(device_id) => Ok(device_id),
            Err(_) => Ok(unit_named(self.app.journal(), name).await?.device_id),
        }
    }

    /// Writes the act that two people then sign. Nothing is changed by it.
    pub(super) async fn draft_act(&self, draft: ActDraft) -> Result<(), CommandError> {
        let device_id = self.device_named(&draft.unit).await?;
        let pin = self.app.registry().await?.pin_of(device_id).await?;
        let pin = pin.ok_or_else(|| unknown("pin", &draft.unit))?;
        let now_ms = wall_ms();
        let act = AuthorityAct::new(ActTerms {
            kind: draft.kind,
            device_id,
            old_fingerprint: pin.fingerprint,
            new_fingerprint: draft.new_key.map(|key| fingerprint(&key)),
            root: self.app.root_policy()?.digest(),
            reason: checked_reason(&draft.reason)?,
            issued_ms: now_ms,
            expires_ms: now_ms + ACT_LIFETIME_DEFAULT_MS,
        })?;
        write_new(&draft.out, &act.to_text())?;
        let holder = if draft.kind.gives_key() {
            " The new key's holder signs it as it is: openssl dgst -sha256 -sign NEW.private -out possession.sig FILE."
        } else {
            ""
        };
        self.say(format!(
            "Wrote {} for unit {} to {}. It counts for a day, and once.{holder} Then two members of the roster sign it: keyline authority sign FILE --key KEY.",
            draft.kind.name(),
            device_id.0,
            draft.out.display()
        ));
        Ok(())
    }

    /// Carries out an act that two people signed: the leaf first, then the registry.
    pub(super) async fn carry_out_act(&self, order: ActOrder) -> Result<(), CommandError> {
        let device_id = self.device_named(&order.unit).await?;
        let roster = self.roster(&order.roster).await?;
        let possession = order.possession;
        let approved = ApprovedAct::verify(&order.note, &roster, possession.as_ref(), wall_ms())?;
        let terms = approved.act().terms();
        if terms.kind != order.kind || terms.device_id != device_id {
            return Err(CommandError::Usage {
                message: format!(
                    "expected {} on unit {}, got {}",
                    order.kind.name(),
                    device_id.0,
                    approved.act().words()
                ),
            });
        }
        let registry = self.app.registry().await?;
        // An act that is about another key by now was carried out before, or never will be: nothing is written for it.
        let pinned = registry.pin_of(device_id).await?;
        if pinned.is_none_or(|pin| pin.fingerprint != terms.old_fingerprint) {
            return Err(CommandError::Usage {
                message: format!(
                    "expected unit {} to be pinned to the key {} of the act, it is not: the act was carried out before, or the key has changed",
                    device_id.0,
                    hex::encode(terms.old_fingerprint)
                ),
            });
        }
        self.refuse_old_roster(&registry, &roster).await?;
        self.app.journal().commit(self.leaves_of(&approved)).await?;
        let receipt = registry
            .carry_out(TwoPersonAct::new(&approved, possession))
            .await?;
        self.say(format!(
            "{} of unit {}: {}. {} asked for it, {} agreed.",
            terms.kind.name(),
            device_id.0,
            if receipt.already {
                "it was done before"
            } else {
                "done"
            },
            approved.requester(),
            approved.approver()
        ));
        Ok(())
    }

    /// Who left the roster must not act by an old copy of it.
    async fn refuse_old_roster(
        &self,
        registry: &Registry,
        roster: &AcceptedBundle,
    ) -> Result<(), CommandError> {
        let bundle = roster.bundle();
        let ours = bundle.terms().version;
        let later = registry.bundles().await?.into_iter().find(|kept| {
            kept.kind == bundle.kind().name()
                && kept.subject == bundle.subject().as_str()
                && kept.version > ours
        });
        match later {
            Some(kept) => Err(CommandError::Advice {
                message: format!(
                    "expected the latest version of the {}, the registry has version {}, this home {ours}",
                    bundle.words(),
                    kept.version
                ),
                next: "Fetch it: keyline authority fetch.".to_owned(),
            }),
            None => Ok(()),
        }
    }

    fn leaves_of(&self, approved: &ApprovedAct) -> Vec<Change> {
        let terms = approved.act().terms();
        let mut changes = vec![Change::ActCarriedOut {
            act: approved.act().digest(),
            act_kind: terms.kind.name().to_owned(),
            device_id: terms.device_id,
            old: terms.old_fingerprint,
            new: terms.new_fingerprint.map(hex::encode),
            note: approved.note().to_owned(),
            operator: self.operator(),
        }];
        if terms.kind != ActKind::PinRotate {
            changes.push(Change::PinRevoked {
                device_id: terms.device_id,
                fingerprint: terms.old_fingerprint,
                operator: approved.requester().to_owned(),
                reason: terms.reason.clone(),
            });
        }
        changes
    }

    async fn roster(&self, name: &Name) -> Result<AcceptedBundle, CommandError> {
        let roster = self
            .app
            .accepted_bundle(BundleKind::Roster, name.as_str())
            .await?;
        roster.ok_or_else(|| CommandError::Advice {
            message: format!("expected a roster {name:?} in this home, found none"),
            next: "Install it: keyline authority install FILE.".to_owned(),
        })
    }
}
