//! The signature that shows that a unit holds its private key: by the unit, or, where its chip can't sign, by the station while it
//! still has the key.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use keyline_protocol::identity::DeviceId;
use keyline_protocol::transcript::ClaimTranscript;

use super::{StationKey, StepError};
use crate::record::Claim;
use crate::session::{Conversation, DevicePublicKey, fresh_bytes};
use crate::signature;

/// A key, and the signature that shows possession.
pub(super) struct Obtained {
    pub(super) key: DevicePublicKey,
    pub(super) challenge: [u8; 32],
    pub(super) signature: Vec<u8>,
    pub(super) signed_by_unit: bool,
    pub(super) first_contact: bool,
}

/// Has the unit sign a fresh challenge, and checks the signature.
pub(super) fn show_possession(
    conversation: &mut Conversation,
    device_id: DeviceId,
    key: DevicePublicKey,
    first_contact: bool,
) -> Result<Obtained, StepError> {
    let challenge = fresh_bytes()?;
    let signature = conversation.prove_possession(challenge)?;
    let digest = claim_transcript(&challenge, device_id, &key).digest();
    signature::verify(key.algorithm, &key.spki, &digest, &signature)
        .map_err(|source| StepError::PossessionFailed { source })?;
    Ok(Obtained {
        key,
        challenge,
        signature,
        signed_by_unit: true,
        first_contact,
    })
}

/// Signs the claim with the key that the station is about to wipe, for a chip that can't sign with it.
pub(super) fn sign_for_unit(
    station_key: &dyn StationKey,
    device_id: DeviceId,
    key: DevicePublicKey,
) -> Result<Obtained, StepError> {
    let unusable = |source: &dyn std::fmt::Display| StepError::StationKey {
        source: format!("the station can't sign with its own key: {source}").into(),
    };
    let challenge = fresh_bytes()?;
    let mut message = Vec::new();
    let digest = claim_transcript(&challenge, device_id, &key)
        .write(|bytes| message.extend_from_slice(bytes));
    let pair = RsaKeyPair::from_der(station_key.private()).map_err(|source| unusable(&source))?;
    let mut signature = vec![0; key.algorithm.signature_length()];
    pair.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        &message,
        &mut signature,
    )
    .map_err(|source| unusable(&source))?;
    signature::verify(key.algorithm, &key.spki, &digest, &signature)
        .map_err(|source| StepError::PossessionFailed { source })?;
    Ok(Obtained {
        key,
        challenge,
        signature,
        signed_by_unit: false,
        first_contact: true,
    })
}

/// The possession that an interrupted run has shown of this very key on this very unit.
pub(super) fn signed_before(
    claim: &Claim,
    device_id: DeviceId,
    key: &DevicePublicKey,
) -> Option<Obtained> {
    let same = claim.device_id.0 == device_id
        && claim.algorithm.0 == key.algorithm
        && claim.public_key == key.spki;
    let digest = claim.transcript().digest();
    let holds =
        same && signature::verify(key.algorithm, &key.spki, &digest, &claim.signature).is_ok();
    holds.then(|| Obtained {
        key: key.clone(),
        challenge: claim.challenge,
        signature: claim.signature.clone(),
        signed_by_unit: false,
        first_contact: true,
    })
}

fn claim_transcript<'a>(
    challenge: &'a [u8; 32],
    device_id: DeviceId,
    key: &'a DevicePublicKey,
) -> ClaimTranscript<'a> {
    ClaimTranscript {
        challenge,
        device_id,
        algorithm: key.algorithm,
        public_key: &key.spki,
    }
}
