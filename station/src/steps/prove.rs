//! Prove: after a reset the unit reads its record cold from flash and signs a fresh challenge over everything that a pin stands for.

use keyline_protocol::identity::Digest;
use keyline_protocol::message::RecordSummary;
use keyline_protocol::record;
use sha2::{Digest as _, Sha256};

use super::bench::{Bench, WithKey};
use super::inject::Injected;
use super::pin::Pinned;
use super::{Failed, StepError};
use crate::link::Target;
use crate::record::{
    AgentDigestSource, AlgorithmName, DeviceIdText, Evidence, KeyPolicyName, LockPolicyName,
    PinReceipt, PlatformName, Proof,
};
use crate::session::{UnitAuthenticator, UnitProof, fresh_bytes};
use crate::signature::{self, SignatureError};

/// The unit has proven itself after a reset.
pub struct Proven<'p> {
    pub(super) unit: WithKey<'p>,
    proof: Proof,
}

impl<'p> Injected<'p> {
    /// Resets the unit and has it prove itself. `checkpoint` is called after the reset and gives the text of the log's latest
    /// checkpoint: the proof is then not older than the log it stands in.
    ///
    /// # Errors
    /// [`Failed`].
    pub fn prove(
        self,
        checkpoint: impl FnOnce() -> String,
    ) -> Result<(Proven<'p>, Evidence), Failed> {
        let expected = Some(self.record);
        prove(self.unit, expected, checkpoint)
    }
}

/// Proves a unit; `expected` is the record that this run has seen written, if it wrote one.
pub(super) fn prove(
    mut unit: WithKey<'_>,
    expected: Option<RecordSummary>,
    checkpoint: impl FnOnce() -> String,
) -> Result<(Proven<'_>, Evidence), Failed> {
    match take_proof(&mut unit, expected, checkpoint) {
        Ok((proof, evidence)) => Ok((Proven { unit, proof }, evidence)),
        Err(error) => Err(unit.known.bench.fail(error)),
    }
}

/// The challenge: SHA-256(SHA-256(checkpoint) ‖ random).
struct Nonce {
    random: [u8; 32],
    checkpoint_digest: Digest,
    value: Digest,
}

impl Nonce {
    fn draw(checkpoint: &str) -> Result<Self, StepError> {
        let random = fresh_bytes()?;
        let checkpoint_digest: Digest = Sha256::digest(checkpoint.as_bytes()).into();
        let value = Sha256::new()
            .chain_update(checkpoint_digest)
            .chain_update(random)
            .finalize()
            .into();
        Ok(Self {
            random,
            checkpoint_digest,
            value,
        })
    }
}

fn take_proof(
    unit: &mut WithKey<'_>,
    expected: Option<RecordSummary>,
    checkpoint: impl FnOnce() -> String,
) -> Result<(Proof, Evidence), StepError> {
    let bench = &mut unit.known.bench;
    let plan = bench.plan;
    let algorithm = unit.key.algorithm;
    bench.conversation.reset()?;
    if unit.known.identity.signs & (1 << algorithm.code()) == 0 {
        bench
            .conversation
            .open_session(unit.known.identity.device_id)?;
    }
    let nonce = Nonce::draw(&checkpoint())?;
    let answer = bench.conversation.prove(
        nonce.value,
        plan.station_id(),
        plan.order_id(),
        plan.run_id(),
    )?;
    check_claims(bench, &answer, expected)?;
    unit.proven = Some(answer.record);
    let proof = assemble(unit, &nonce, answer);
    verify(unit, &proof)?;
    let mut transcript = Vec::new();
    proof
        .transcript()
        .write(|bytes| transcript.extend_from_slice(bytes));
    let evidence = Evidence::Proven {
        transcript,
        authenticator: proof.authenticator.clone(),
        weak: proof.weak,
        nonce_random: nonce.random,
        nonce_checkpoint_digest: nonce.checkpoint_digest,
    };
    Ok((proof, evidence))
}

/// Checks what the unit says beside its signature: the record's digest must be the one that the station computes by itself.
fn check_claims(
    bench: &Bench<'_>,
    answer: &UnitProof,
    expected: Option<RecordSummary>,
) -> Result<(), StepError> {
    let plan = bench.plan;
    let record = answer.record;
    let own = record::digest(
        &plan.record(None),
        record.sequence,
        &record.credentials_commitment,
    );
    let expected_digest = expected.map_or(own, |written| written.digest);
    if record.digest != expected_digest || record.digest != own {
        return Err(StepError::RecordMismatch {
            expected: expected_digest,
            got: record.digest,
        });
    }
    if answer.agent_digest != plan.image.digest {
        return Err(StepError::AgentDigest {
            source_of_digest: AgentDigestSource::Claimed,
            expected: plan.image.digest,
            got: answer.agent_digest,
        });
    }
    Ok(())
}

fn assemble(unit: &WithKey<'_>, nonce: &Nonce, answer: UnitProof) -> Proof {
    let bench = &unit.known.bench;
    let plan = bench.plan;
    let (authenticator, weak) = match answer.authenticator {
        UnitAuthenticator::Signature(signature) => (signature, false),
        UnitAuthenticator::Mac(mac) => (mac.to_vec(), true),
    };
    Proof {
        version: bench.conversation.version(),
        algorithm: AlgorithmName(unit.key.algorithm),
        made: KeyPolicyName(unit.key.made),
        key_policy: KeyPolicyName(plan.product.key_policy),
        nonce: nonce.value,
        nonce_random: nonce.random,
        nonce_checkpoint_digest: nonce.checkpoint_digest,
        device_id: DeviceIdText(unit.known.identity.device_id),
        platform: PlatformName(plan.product.platform),
        product: plan.product.id,
        order: plan.order,
        run: plan.run,
        public_key: unit.key.spki.clone(),
        cloud_key_fingerprint: plan.product.cloud_key_fingerprint(),
        cloud_address: plan.product.cloud_address.clone(),
        record_sequence: answer.record.sequence,
        record_digest: answer.record.digest,
        agent_digest: answer.agent_digest,
        lock_policy: LockPolicyName(plan.product.lock_policy),
        session_hash: bench.conversation.session_hash(),
        station: plan.station,
        authenticator,
        weak,
    }
}

fn verify(unit: &mut WithKey<'_>, proof: &Proof) -> Result<(), StepError> {
    let signs = unit.known.identity.signs & (1 << unit.key.algorithm.code()) != 0;
    // A MAC shows no key. It is worth something only from an agent that the station measured, over its own probe.
    let measured = unit.known.bench.probe.is_some();
    let digest = proof.transcript().digest();
    let conversation = &mut unit.known.bench.conversation;
    let verdict = if proof.weak {
        let mac = proof.authenticator.as_slice().try_into();
        // A chip that can sign has no business answering with a MAC, which only this station could check.
        match mac {
            Ok(mac) if !signs && measured && conversation.verify_mac(&digest, mac) => Ok(()),
            _ => Err(SignatureError::Invalid),
        }
    } else {
        signature::verify(
            unit.key.algorithm,
            &unit.key.spki,
            &digest,
            &proof.authenticator,
        )
    };
    let Err(source) = verdict else {
        return Ok(());
    };
    // A proof by another unit is told apart from a false one: somebody may have swapped the boards during the reset.
    let expected = unit.known.identity.device_id;
    match conversation.identify() {
        Ok(other) if other.device_id != expected => Err(StepError::DeviceIdMismatch {
            expected,
            got: other.device_id,
        }),
        _ => Err(StepError::ProofInvalid { source }),
    }
}

impl<'p> Proven<'p> {
    /// What the line hands to the registry, which verifies it by itself.
    #[must_use]
    pub const fn proof(&self) -> &Proof {
        &self.proof
    }

    /// The registry trusts the key, on disk.
    #[must_use]
    pub fn pinned(self, receipt: PinReceipt) -> (Pinned<'p>, Evidence) {
        let evidence = Evidence::Pinned {
            fingerprint: self.proof.fingerprint(),
            already: receipt.already,
        };
        (Pinned(self.unit), evidence)
    }

    /// The registry is out of reach, and the product's policy says to go on: the unit is *held*.
    #[must_use]
    pub fn pin_held(self) -> Pinned<'p> {
        Pinned(self.unit)
    }

    /// Lets the unit go, as it is.
    #[must_use]
    pub fn release(self) -> Box<dyn Target> {
        self.unit.known.bench.release()
    }
}
