//! Key: the unit holds a key by the product's policy and has signed this station's challenge with it.

use keyline_protocol::identity::{Algorithm, DeviceId, Digest, KeyPolicy, fingerprint};

use super::bench::{Known, WithKey};
use super::identify::Identified;
use super::inject::Claimed;
use super::possession::{Obtained, show_possession, sign_for_unit, signed_before};
use super::{Failed, StationKeySource, StepError};
use crate::link::Target;
use crate::record::{AlgorithmName, Claim, ClaimReceipt, DeviceIdText, Evidence, KeyPolicyName};
use crate::session::{DevicePublicKey, fresh_bytes};

/// The private key is in the unit's flash and has signed this station's challenge.
pub struct Keyed<'p> {
    unit: WithKey<'p>,
    claim: Claim,
}

impl<'p> Identified<'p> {
    /// Has the unit make, receive or show its key, by the product's policy, and sign a fresh challenge with it.
    ///
    /// A key that an interrupted run left is taken as it is. `earlier` is the claim of such a run, if the journal has one: a chip that
    /// can't sign with its key can't show possession a second time, so its first signature, made by the station before it wiped the
    /// key, is used again. Without it a key that nobody could have claimed (there is no record yet) is erased and made anew.
    ///
    /// # Errors
    /// [`Failed`].
    pub fn key(
        self,
        keys: &dyn StationKeySource,
        earlier: Option<&Claim>,
    ) -> Result<(Keyed<'p>, Evidence), Failed> {
        let mut known = self.0;
        match obtain(&mut known, keys, earlier) {
            Ok(obtained) => {
                let (claim, evidence) = obtained.describe(&known);
                let unit = WithKey {
                    known,
                    key: obtained.key,
                    proven: None,
                };
                Ok((Keyed { unit, claim }, evidence))
            }
            Err(error) => Err(known.bench.fail(error)),
        }
    }
}

impl Identified<'_> {
    /// Erases the key that an interrupted run of this station may have left, and that nobody has claimed: the next one is made anew.
    ///
    /// # Errors
    /// [`Failed`].
    pub fn erase_unclaimed_key(mut self) -> Result<Self, Failed> {
        let conversation = &mut self.0.bench.conversation;
        let erased = conversation
            .erase_identity()
            .and_then(|()| conversation.identify());
        match erased {
            Ok(identity) => {
                self.0.identity = identity;
                Ok(self)
            }
            Err(error) => Err(self.0.bench.fail(error)),
        }
    }
}

impl Obtained {
    fn describe(&self, known: &Known<'_>) -> (Claim, Evidence) {
        let plan = known.bench.plan;
        let claim = Claim {
            device_id: DeviceIdText(known.identity.device_id),
            algorithm: AlgorithmName(self.key.algorithm),
            made: KeyPolicyName(self.key.made),
            public_key: self.key.spki.clone(),
            challenge: self.challenge,
            signature: self.signature.clone(),
            station: plan.station,
            customer: plan.product.customer.clone(),
            product: plan.product.id,
            order: plan.order,
            run: plan.run,
            rework: plan.rework,
        };
        let evidence = Evidence::Keyed {
            algorithm: claim.algorithm,
            made: claim.made,
            public_key: self.key.spki.clone(),
            challenge: self.challenge,
            signature: self.signature.clone(),
            signed_by_unit: self.signed_by_unit,
            first_contact: self.first_contact,
        };
        (claim, evidence)
    }
}

fn obtain(
    known: &mut Known<'_>,
    keys: &dyn StationKeySource,
    earlier: Option<&Claim>,
) -> Result<Obtained, StepError> {
    let product = known.bench.plan.product;
    let identity = known.identity;
    let algorithm = product.algorithm;
    if identity.sealed {
        return Err(StepError::AlreadySealed);
    }
    let bit = 1 << algorithm.code();
    if identity.holds & bit == 0 {
        return Err(StepError::AlgorithmUnsupported { algorithm });
    }
    let unit_signs = identity.signs & bit != 0;
    // Without a probe nobody but the wire says that the key was made on the unit.
    let first_contact = known.bench.probe.is_none();
    let conversation = &mut known.bench.conversation;
    let Some(present) = identity.key else {
        return match product.key_policy {
            KeyPolicy::OnDevice => {
                let key = conversation.generate_key(algorithm, fresh_bytes()?)?;
                check_kind(&key, algorithm, KeyPolicy::OnDevice)?;
                show_possession(conversation, identity.device_id, key, first_contact)
            }
            KeyPolicy::Station => import(known, keys, unit_signs),
            KeyPolicy::Existing => Err(StepError::KeyMissing),
        };
    };
    if present.algorithm != algorithm || !product.key_policy.accepts(present.made) {
        return Err(StepError::KeyUnsuitable {
            expected_algorithm: algorithm,
            expected_policy: product.key_policy,
            got_algorithm: present.algorithm,
            got_policy: present.made,
        });
    }
    let key = conversation.public_key()?;
    check_kind(&key, present.algorithm, present.made)?;
    check_fingerprint(&key, present.fingerprint)?;
    if unit_signs {
        return show_possession(conversation, identity.device_id, key, false);
    }
    match earlier.and_then(|claim| signed_before(claim, identity.device_id, &key)) {
        Some(obtained) => Ok(obtained),
        None if identity.record.is_none() && product.key_policy == KeyPolicy::Station => {
            conversation.erase_identity()?;
            import(known, keys, unit_signs)
        }
        None => Err(StepError::PossessionUnprovable { algorithm }),
    }
}

/// Has the station make the key and send it over an encrypted session.
fn import(
    known: &mut Known<'_>,
    keys: &dyn StationKeySource,
    unit_signs: bool,
) -> Result<Obtained, StepError> {
    let algorithm = known.bench.plan.product.algorithm;
    let device_id = known.identity.device_id;
    if known.bench.probe.is_none() {
        return Err(StepError::StationKeyOverSerial);
    }
    let conversation = &mut known.bench.conversation;
    let station_key = keys
        .take(algorithm)
        .map_err(|source| StepError::StationKey { source })?;
    let expected = fingerprint(station_key.spki());
    conversation.open_session(device_id)?;
    let key = conversation.import_key(algorithm, station_key.private(), expected)?;
    check_kind(&key, algorithm, KeyPolicy::Station)?;
    check_fingerprint(&key, expected)?;
    if unit_signs {
        return show_possession(conversation, device_id, key, true);
    }
    sign_for_unit(&*station_key, device_id, key)
}

fn check_kind(
    key: &DevicePublicKey,
    algorithm: Algorithm,
    made: KeyPolicy,
) -> Result<(), StepError> {
    if key.algorithm == algorithm && key.made == made {
        return Ok(());
    }
    Err(StepError::KeyUnsuitable {
        expected_algorithm: algorithm,
        expected_policy: made,
        got_algorithm: key.algorithm,
        got_policy: key.made,
    })
}

fn check_fingerprint(key: &DevicePublicKey, expected: Digest) -> Result<(), StepError> {
    let got = fingerprint(&key.spki);
    if got == expected {
        Ok(())
    } else {
        Err(StepError::KeyChanged { expected, got })
    }
}

impl<'p> Keyed<'p> {
    /// What the line hands to the registry.
    #[must_use]
    pub const fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Who the unit is.
    #[must_use]
    pub const fn device_id(&self) -> DeviceId {
        self.unit.known.identity.device_id
    }

    /// The registry has the claim on disk.
    #[must_use]
    pub fn claimed(self, receipt: ClaimReceipt) -> (Claimed<'p>, Evidence) {
        let evidence = Evidence::Claimed {
            fingerprint: self.claim.fingerprint(),
            already: receipt.already,
        };
        (Claimed(self.unit), evidence)
    }

    /// The registry is out of reach, and the product's policy says to go on: the unit will be *held*.
    #[must_use]
    pub fn claim_held(self) -> Claimed<'p> {
        Claimed(self.unit)
    }

    /// Lets the unit go, as it is.
    #[must_use]
    pub fn release(self) -> Box<dyn Target> {
        self.unit.known.bench.release()
    }
}
