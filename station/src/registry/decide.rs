//! The rules of the registry, without a database: what a claim, a proof or a revocation does to what is known.

use super::RegistryError;
use super::known::{
    AlarmRow, Basis, ClaimRow, Fingerprint, Known, KnownKey, PinRow, PinState, RevocationRow,
    RevokedBy, Writes,
};
use super::model::{AlarmKind, ImportRow, ImportTerms, Revocation};
use super::request::{Act, Outcome};
use crate::record::{Claim, ClaimReceipt, Label, PinReceipt, Proof};

/// A batch that is being decided.
pub(super) struct Decision<'a> {
    pub(super) known: Known,
    pub(super) writes: Writes<'a>,
    pub(super) now_ms: u64,
}

impl<'a> Decision<'a> {
    /// Carries out one act, or refuses it and leaves everything as it was, but for an alarm.
    pub(super) fn decide(&mut self, act: &'a Act) -> Result<Outcome, RegistryError> {
        match act {
            Act::Claim(claim) => {
                let claimed = self.claim(&claim.entry, claim.label.as_ref());
                claimed.map(Outcome::Claimed)
            }
            Act::Pin(proof) => {
                let pinned = self.pin(&proof.entry, proof.label.as_ref());
                pinned.map(Outcome::Pinned)
            }
            Act::Enter(all) => {
                let (claim, proof, label) = &**all;
                self.claim(claim, label.as_ref())?;
                self.pin(proof, label.as_ref()).map(Outcome::Pinned)
            }
            Act::Import(import) => {
                let (terms, rows) = &**import;
                let taken = rows.iter().map(|row| self.import(row, terms));
                Ok(Outcome::Imported(taken.collect()))
            }
            Act::CarryOut(act) => self.carry_out(act).map(Outcome::CarriedOut),
            Act::Revoke(revocation) => self.revoke(revocation).map(Outcome::Revoked),
            Act::Checkpoint(shown) => self.enter(shown).map(Outcome::Entered),
            Act::Close => Ok(Outcome::Closed),
        }
    }

    fn claim(
        &mut self,
        claim: &'a Claim,
        label: Option<&Label>,
    ) -> Result<ClaimReceipt, RegistryError> {
        let (device_id, fingerprint) = (claim.device_id, claim.fingerprint());
        if let Some(known) = self.known.key(&fingerprint).cloned() {
            let receipt = self.claim_again(claim, fingerprint, &known)?;
            return self.refuse_label(device_id, label).map(|()| receipt);
        }
        if let Some((active, key)) = self.known.in_state(device_id, PinState::Active) {
            let (active, station) = (*active, key.station);
            self.writes.alarms.push(AlarmRow {
                kind: AlarmKind::DeviceHasAnotherKey,
                claim,
                holder_device: device_id,
                holder_key: active,
                holder_station: station,
            });
            return Err(RegistryError::DeviceHasAnotherKey { device_id, active });
        }
        let (generation, turn) = self.known.next_place(device_id);
        if generation > 1 && !claim.rework {
            return Err(RegistryError::NeedsRework(device_id));
        }
        self.refuse_label(device_id, label)?;
        if let Some((burnt, _)) = self.known.in_state(device_id, PinState::Pending) {
            let burnt = *burnt;
            self.known.change(&burnt, PinState::Superseded, false);
        }
        let key = KnownKey {
            device_id,
            generation,
            turn,
            algorithm: claim.algorithm.0.name().to_owned(),
            public_key: claim.public_key.clone(),
            product: Some(claim.product),
            station: Some(claim.station),
            state: PinState::Pending,
            weak: false,
        };
        self.known.add(fingerprint, key);
        self.writes.claims.push(ClaimRow {
            basis: Basis::Bench(claim),
            generation,
            turn,
        });
        Ok(ClaimReceipt {
            already: false,
            pinned: false,
        })
    }

    /// A key that was claimed before: by the same device it is accepted as long as it lives, by another one never.
    fn claim_again(
        &mut self,
        claim: &'a Claim,
        fingerprint: Fingerprint,
        known: &KnownKey,
    ) -> Result<ClaimReceipt, RegistryError> {
        let owner = known.device_id;
        if owner != claim.device_id {
            self.writes.alarms.push(AlarmRow {
                kind: AlarmKind::KeyBelongsToAnother,
                claim,
                holder_device: owner,
                holder_key: fingerprint,
                holder_station: known.station,
            });
            return Err(RegistryError::KeyBelongsToAnother { fingerprint, owner });
        }
        let already = |pinned| {
            Ok(ClaimReceipt {
                already: true,
                pinned,
            })
        };
        match known.state {
            PinState::Pending => already(false),
            PinState::Active => already(true),
            PinState::Revoked => Err(RegistryError::KeyRevoked { fingerprint }),
            PinState::Superseded => Err(RegistryError::KeyBurnt { fingerprint }),
        }
    }

    fn pin(
        &mut self,
        proof: &'a Proof,
        label: Option<&Label>,
    ) -> Result<PinReceipt, RegistryError> {
        let (device_id, fingerprint) = (proof.device_id, proof.fingerprint());
        let claimed = self.claimed(proof, fingerprint)?;
        match claimed.state {
            PinState::Revoked => return Err(RegistryError::KeyRevoked { fingerprint }),
            PinState::Superseded => return Err(RegistryError::KeyBurnt { fingerprint }),
            PinState::Pending | PinState::Active => {}
        }
        if let Some((other, _)) = self.known.in_state(device_id, PinState::Active)
            && *other != fingerprint
        {
            let active = *other;
            return Err(RegistryError::DeviceHasAnotherKey { device_id, active });
        }
        let already = claimed.state == PinState::Active;
        if proof.weak && already && !claimed.weak {
            let algorithm = proof.algorithm.0.name();
            return Err(RegistryError::WeakNotAllowed { algorithm });
        }
        self.refuse_label(device_id, label)?;
        match self.known.nonces.get(&proof.nonce) {
            // The very proof that was accepted before: its answer was lost on the way.
            Some(proven) if already && *proven == fingerprint => {
                self.enter_label(device_id, claimed.generation, label, Some(proof));
                return Ok(PinReceipt { already });
            }
            Some(_) => return Err(RegistryError::NonceUsed { nonce: proof.nonce }),
            None => {}
        }
        self.known.nonces.insert(proof.nonce, fingerprint);
        self.writes.proofs.push(proof);
        if !already {
            self.known
                .change(&fingerprint, PinState::Active, proof.weak);
            self.writes.pins.push(PinRow {
                device_id,
                generation: claimed.generation,
                turn: claimed.turn,
                proof: Some(proof),
            });
        }
        self.enter_label(device_id, claimed.generation, label, Some(proof));
        Ok(PinReceipt { already })
    }

    /// Takes a device in that exists already. It is new to the registry, or exactly what the registry has: an import changes nothing.
    fn import(
        &mut self,
        row: &'a ImportRow,
        terms: &'a ImportTerms,
    ) -> Result<PinReceipt, RegistryError> {
        let (device_id, fingerprint) = (row.device_id, row.fingerprint());
        let label = row.label();
        if let Some(known) = self.known.key(&fingerprint) {
            let owner = known.device_id;
            return match known.state {
                _ if owner != device_id => {
                    Err(RegistryError::KeyBelongsToAnother { fingerprint, owner })
                }
                PinState::Active => self
                    .refuse_new_label(device_id, label.as_ref())
                    .map(|()| PinReceipt { already: true }),
                PinState::Revoked => Err(RegistryError::KeyRevoked { fingerprint }),
                PinState::Superseded => Err(RegistryError::KeyBurnt { fingerprint }),
                PinState::Pending => Err(RegistryError::BeingMade(device_id)),
            };
        }
        if let Some((active, _)) = self.known.in_state(device_id, PinState::Active) {
            let active = *active;
            return Err(RegistryError::DeviceHasAnotherKey { device_id, active });
        }
        if self.known.keys_of(device_id).next().is_some() {
            return Err(RegistryError::BeingMade(device_id));
        }
        if let Some(product) = &row.product
            && !self.known.products.contains(product)
        {
            return Err(RegistryError::UnknownProduct(product.clone()));
        }
        self.refuse_label(device_id, label.as_ref())?;
        let key = KnownKey {
            device_id,
            generation: 1,
            turn: 1,
            algorithm: row.algorithm.0.name().to_owned(),
            public_key: row.public_key.clone(),
            product: None,
            station: None,
            state: PinState::Active,
            weak: false,
        };
        self.known.add(fingerprint, key);
        self.writes.claims.push(ClaimRow {
            basis: Basis::Import(row, terms),
            generation: 1,
            turn: 1,
        });
        self.writes.pins.push(PinRow {
            device_id,
            generation: 1,
            turn: 1,
            proof: None,
        });
        self.enter_label(device_id, 1, label.as_ref(), None);
        Ok(PinReceipt { already: false })
    }

    fn revoke(&mut self, revocation: &'a Revocation) -> Result<Fingerprint, RegistryError> {
        let device_id = revocation.device_id;
        let (fingerprint, key) = self
            .known
            .in_state(device_id, PinState::Active)
            .ok_or(RegistryError::NotPinned(device_id))?;
        let (fingerprint, generation, weak) = (*fingerprint, key.generation, key.weak);
        self.known.change(&fingerprint, PinState::Revoked, weak);
        self.known.serials.release(device_id);
        self.writes.revocations.push(RevocationRow {
            device_id,
            generation,
            by: RevokedBy::Station(revocation),
        });
        Ok(fingerprint)
    }

    /// The claim of the key that verified the proof: it must be of this device, and say the same.
    fn claimed(&self, proof: &Proof, fingerprint: Fingerprint) -> Result<KnownKey, RegistryError> {
        let claim = self
            .known
            .key(&fingerprint)
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
        // A unit that is trusted already may come back for a later bundle of its product: with another cloud key, say.
        let same = |product| {
            product == proof.product
                || (claim.state == PinState::Active
                    && self.known.same_product(product, proof.product))
        };
        if !claim.product.is_none_or(same) {
            return Err(differs("product"));
        }
        Ok(claim.clone())
    }
}
