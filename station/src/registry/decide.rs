//! The rules of the registry, without a database: what a claim, a proof or a revocation does to what is known.

use super::RegistryError;
use super::known::{
    AlarmRow, Fingerprint, HistoryRow, Known, KnownClaim, KnownPin, PinState, Writes,
};
use super::model::PinEventKind;
use super::request::{Act, Outcome};
use crate::record::{Claim, ClaimReceipt, DeviceIdText, PinReceipt, Proof, StationId};

/// A batch that is being decided.
pub(super) struct Decision<'a> {
    pub(super) known: Known,
    pub(super) writes: Writes<'a>,
    pub(super) now_ms: u64,
}

/// Who did something, for the history.
#[derive(Clone, Copy, Default)]
struct Author<'a> {
    station: Option<StationId>,
    operator: Option<&'a str>,
    reason: Option<&'a str>,
}

impl<'a> Decision<'a> {
    /// Carries out one act, or refuses it and leaves everything as it was, but for an alarm.
    pub(super) fn decide(&mut self, act: &'a Act) -> Result<Outcome, RegistryError> {
        match act {
            Act::Claim(claim) => self.claim(claim).map(Outcome::Claimed),
            Act::Pin(proof) => self.pin(proof).map(Outcome::Pinned),
            Act::Revoke {
                device_id,
                reason,
                operator,
            } => self
                .revoke(*device_id, reason, operator)
                .map(Outcome::Revoked),
            Act::Checkpoint(shown) => self.enter(shown).map(Outcome::Entered),
            Act::Close => Ok(Outcome::Closed),
        }
    }

    fn claim(&mut self, claim: &'a Claim) -> Result<ClaimReceipt, RegistryError> {
        let (device_id, fingerprint) = (claim.device_id, claim.fingerprint());
        if let Some(known) = self.known.claims.get(&fingerprint) {
            let owner = known.device_id;
            if owner != device_id {
                self.alarm(claim, fingerprint, Some(owner), None);
                return Err(RegistryError::KeyBelongsToAnother { fingerprint, owner });
            }
            return match self.known.state_of(device_id, &fingerprint) {
                Some(PinState::Pending) => Ok(ClaimReceipt {
                    already: true,
                    pinned: false,
                }),
                Some(PinState::Active) => Ok(ClaimReceipt {
                    already: true,
                    pinned: true,
                }),
                Some(PinState::Revoked) => Err(RegistryError::KeyRevoked { fingerprint }),
                Some(PinState::Superseded) | None => Err(RegistryError::KeyBurnt { fingerprint }),
            };
        }
        if let Some(active) = self.known.in_state(device_id, PinState::Active) {
            let active = active.fingerprint;
            self.alarm(claim, fingerprint, None, Some(active));
            return Err(RegistryError::DeviceHasAnotherKey { device_id, active });
        }
        if !claim.rework && self.known.in_state(device_id, PinState::Revoked).is_some() {
            return Err(RegistryError::NeedsRework(device_id));
        }
        let author = Author {
            station: Some(claim.station),
            ..Author::default()
        };
        if let Some(pending) = self.known.in_state(device_id, PinState::Pending) {
            let burnt = pending.fingerprint;
            self.change(device_id, burnt, PinState::Superseded);
            self.tell(device_id, burnt, PinEventKind::Superseded, author);
        }
        self.known.claims.insert(
            fingerprint,
            KnownClaim {
                device_id,
                algorithm: claim.algorithm.0.name().to_owned(),
                public_key: claim.public_key.clone(),
                product: claim.product,
            },
        );
        self.known
            .pins
            .entry(device_id)
            .or_default()
            .push(KnownPin {
                fingerprint,
                state: PinState::Pending,
                weak: false,
                pinned_at_ms: None,
            });
        self.writes.claims.push(claim);
        self.writes.pins.insert((device_id, fingerprint));
        self.tell(device_id, fingerprint, PinEventKind::Claimed, author);
        Ok(ClaimReceipt {
            already: false,
            pinned: false,
        })
    }

    fn pin(&mut self, proof: &'a Proof) -> Result<PinReceipt, RegistryError> {
        let (device_id, fingerprint) = (proof.device_id, proof.fingerprint());
        self.hold_against_claim(proof, fingerprint)?;
        let state = self.known.state_of(device_id, &fingerprint);
        match state {
            Some(PinState::Revoked) => return Err(RegistryError::KeyRevoked { fingerprint }),
            Some(PinState::Superseded) | None => {
                return Err(RegistryError::KeyBurnt { fingerprint });
            }
            Some(PinState::Pending | PinState::Active) => {}
        }
        if let Some(other) = self.known.in_state(device_id, PinState::Active)
            && other.fingerprint != fingerprint
        {
            let active = other.fingerprint;
            return Err(RegistryError::DeviceHasAnotherKey { device_id, active });
        }
        let already = state == Some(PinState::Active);
        let strong = self
            .known
            .in_state(device_id, PinState::Active)
            .is_some_and(|pin| !pin.weak);
        if proof.weak && strong {
            let algorithm = proof.algorithm.0.name();
            return Err(RegistryError::WeakNotAllowed { algorithm });
        }
        match self.known.nonces.get(&proof.nonce) {
            // The very proof that was accepted before: its answer was lost on the way.
            Some(proven) if already && *proven == fingerprint => {
                return Ok(PinReceipt { already });
            }
            Some(_) => return Err(RegistryError::NonceUsed { nonce: proof.nonce }),
            None => {}
        }
        self.known.nonces.insert(proof.nonce, fingerprint);
        self.writes.proofs.push(proof);
        if !already {
            self.activate(proof, device_id, fingerprint);
        }
        Ok(PinReceipt { already })
    }

    /// Checks that the key which verified the proof is the one that was claimed for this device.
    fn hold_against_claim(
        &self,
        proof: &Proof,
        fingerprint: Fingerprint,
    ) -> Result<(), RegistryError> {
        let claim = self
            .known
            .claims
            .get(&fingerprint)
            .ok_or(RegistryError::NotClaimed { fingerprint })?;
        let differs = |what| RegistryError::ProofDiffersFromClaim {
            device_id: proof.device_id,
            what,
        };
        if claim.device_id != proof.device_id {
            return Err(differs("device id"));
        }
        if claim.algorithm != proof.algorithm.0.name() {
            return Err(differs("algorithm"));
        }
        if claim.public_key != proof.public_key {
            return Err(differs("public key"));
        }
        if claim.product != proof.product {
            return Err(differs("product"));
        }
        Ok(())
    }

    fn activate(&mut self, proof: &Proof, device_id: DeviceIdText, fingerprint: Fingerprint) {
        self.change(device_id, fingerprint, PinState::Active);
        let now_ms = self.now_ms;
        if let Some(pin) = self.entry(device_id, fingerprint) {
            pin.weak = proof.weak;
            pin.pinned_at_ms = Some(now_ms);
        }
        let author = Author {
            station: Some(proof.station),
            ..Author::default()
        };
        self.tell(device_id, fingerprint, PinEventKind::Pinned, author);
    }

    fn revoke(
        &mut self,
        device_id: DeviceIdText,
        reason: &str,
        operator: &str,
    ) -> Result<Fingerprint, RegistryError> {
        let active = self
            .known
            .in_state(device_id, PinState::Active)
            .ok_or(RegistryError::NotPinned(device_id))?;
        let fingerprint = active.fingerprint;
        self.change(device_id, fingerprint, PinState::Revoked);
        let author = Author {
            station: None,
            operator: Some(operator),
            reason: Some(reason),
        };
        self.tell(device_id, fingerprint, PinEventKind::Revoked, author);
        Ok(fingerprint)
    }

    fn entry(
        &mut self,
        device_id: DeviceIdText,
        fingerprint: Fingerprint,
    ) -> Option<&mut KnownPin> {
        let pins = self.known.pins.get_mut(&device_id)?;
        pins.iter_mut().find(|pin| pin.fingerprint == fingerprint)
    }

    fn change(&mut self, device_id: DeviceIdText, fingerprint: Fingerprint, state: PinState) {
        if let Some(pin) = self.entry(device_id, fingerprint) {
            pin.state = state;
            self.writes.pins.insert((device_id, fingerprint));
        }
    }

    fn tell(
        &mut self,
        device_id: DeviceIdText,
        fingerprint: Fingerprint,
        kind: PinEventKind,
        author: Author<'_>,
    ) {
        let sequence = self.known.sequences.entry(device_id).or_insert(0);
        *sequence += 1;
        self.writes.history.push(HistoryRow {
            device_id,
            sequence: *sequence,
            kind,
            fingerprint,
            station: author.station,
            operator: author.operator.map(str::to_owned),
            reason: author.reason.map(str::to_owned),
        });
    }

    fn alarm(
        &mut self,
        claim: &Claim,
        fingerprint: Fingerprint,
        other_device_id: Option<DeviceIdText>,
        other_fingerprint: Option<Fingerprint>,
    ) {
        let kind = if other_device_id.is_some() {
            "key-belongs-to-another"
        } else {
            "device-has-another-key"
        };
        self.writes.alarms.push(AlarmRow {
            kind,
            device_id: claim.device_id,
            fingerprint,
            other_device_id,
            other_fingerprint,
            station: claim.station,
            run: claim.run,
        });
    }
}
