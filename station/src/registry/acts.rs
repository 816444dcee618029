//! Acts on which two people agreed: a key is revoked, or takes another one's place. They are kept whole, and each is carried out once.

use crate::authority::{ActKind, ApprovedAct, Possession};
use crate::record::{AlgorithmName, DeviceIdText};

use super::RegistryError;
use super::decide::Decision;
use super::known::{
    Basis, ClaimRow, Fingerprint, KnownKey, PinRow, PinState, RevocationRow, RevokedBy,
};

/// An act that two people agreed on, as the registry keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TwoPersonAct {
    pub(super) id: [u8; 32],
    pub(super) kind: ActKind,
    pub(super) device_id: DeviceIdText,
    pub(super) old: Fingerprint,
    pub(super) new: Option<NewKey>,
    pub(super) requester: String,
    pub(super) approver: String,
    pub(super) reason: String,
    pub(super) note: String,
}

/// The key that a device gets, with the signature by which its holder shows that he has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NewKey {
    pub(super) algorithm: AlgorithmName,
    pub(super) public_key: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

impl TwoPersonAct {
    /// An act that was verified, with the possession that it was verified with.
    #[must_use]
    pub fn new(approved: &ApprovedAct, possession: Option<Possession>) -> Self {
        let terms = approved.act().terms();
        Self {
            id: approved.act().digest(),
            kind: terms.kind,
            device_id: terms.device_id,
            old: terms.old_fingerprint,
            new: possession.map(|possession| NewKey {
                algorithm: possession.algorithm,
                public_key: possession.public_key,
                signature: possession.signature,
            }),
            requester: approved.requester().to_owned(),
            approver: approved.approver().to_owned(),
            reason: terms.reason.clone(),
            note: approved.note().to_owned(),
        }
    }
}

impl NewKey {
    pub(super) fn fingerprint(&self) -> Fingerprint {
        keyline_protocol::identity::fingerprint(&self.public_key)
    }
}

/// The registry has carried the act out, on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActReceipt {
    /// It had been carried out before; nothing was changed.
    pub already: bool,
}

impl<'a> Decision<'a> {
    /// Carries out an act, or refuses it and leaves everything as it was.
    pub(super) fn carry_out(&mut self, act: &'a TwoPersonAct) -> Result<ActReceipt, RegistryError> {
        if self.known.acts.contains(&act.id) {
            return Ok(ActReceipt { already: true });
        }
        let device_id = act.device_id;
        let (active, key) = self
            .known
            .in_state(device_id, PinState::Active)
            .ok_or(RegistryError::NotPinned(device_id))?;
        if *active != act.old {
            return Err(RegistryError::DeviceHasAnotherKey {
                device_id,
                active: *active,
            });
        }
        let (generation, weak) = (key.generation, key.weak);
        if let Some(new) = &act.new {
            self.refuse_used(device_id, new.fingerprint())?;
        }
        let labels = self.known.serials.of_device(device_id);
        self.known.change(&act.old, PinState::Revoked, weak);
        self.known.serials.release(device_id);
        self.known.acts.insert(act.id);
        self.writes.acts.push(act);
        self.writes.revocations.push(RevocationRow {
            device_id,
            generation,
            by: RevokedBy::Act(act),
        });
        if let Some(new) = &act.new {
            self.give(act, new, generation + 1);
            // The same device with another key: it keeps its label.
            for label in &labels {
                self.enter_label(device_id, generation + 1, Some(label), None);
            }
        }
        Ok(ActReceipt { already: false })
    }

    /// A key that was ever claimed never begins anew.
    fn refuse_used(
        &self,
        device_id: DeviceIdText,
        fingerprint: Fingerprint,
    ) -> Result<(), RegistryError> {
        match self.known.key(&fingerprint) {
            None => Ok(()),
            Some(known) if known.device_id != device_id => {
                Err(RegistryError::KeyBelongsToAnother {
                    fingerprint,
                    owner: known.device_id,
                })
            }
            Some(_) => Err(RegistryError::KeyBurnt { fingerprint }),
        }
    }

    fn give(&mut self, act: &'a TwoPersonAct, new: &'a NewKey, generation: i64) {
        let key = KnownKey {
            device_id: act.device_id,
            generation,
            turn: 1,
            algorithm: new.algorithm.0.name().to_owned(),
            public_key: new.public_key.clone(),
            product: None,
            station: None,
            state: PinState::Active,
            weak: false,
        };
        self.known.add(new.fingerprint(), key);
        self.writes.claims.push(ClaimRow {
            basis: Basis::Rotation(act, new),
            generation,
            turn: 1,
        });
        self.writes.pins.push(PinRow {
            device_id: act.device_id,
            generation,
            turn: 1,
            proof: None,
        });
    }
}
