//! What can be checked of a claim and a proof without the database. It is done by whoever asks, so that the one writer needn't.

use keyline_protocol::identity::Algorithm;
use sha2::{Digest as _, Sha256};

use super::RegistryError;
use super::key;
use crate::record::{Claim, Proof};

/// The longest transcript is that of a proof with an RSA-3072 key: about 900 bytes.
const TRANSCRIPT_CAPACITY: usize = 1_024;

/// Checks that the private key of the claimed public key signed the claim.
pub(crate) fn claim(claim: &Claim) -> Result<(), RegistryError> {
    let public_key = key::parse(claim.algorithm.0, &claim.public_key)?;
    let mut transcript = Vec::with_capacity(TRANSCRIPT_CAPACITY);
    claim
        .transcript()
        .write(|bytes| transcript.extend_from_slice(bytes));
    public_key
        .verify_sig(&transcript, &claim.signature)
        .map_err(|_| RegistryError::PossessionNotShown {
            device_id: claim.device_id,
            fingerprint: claim.fingerprint(),
        })
}

/// Checks the nonce's form and the signature. That the key is the claimed one is checked when the claim is read: the fingerprint, the
/// bytes and the algorithm must be the claim's, so that a key which only stands in the proof never counts.
pub(crate) fn proof(proof: &Proof) -> Result<(), RegistryError> {
    let algorithm = proof.algorithm.0;
    let public_key = key::parse(algorithm, &proof.public_key)?;
    let mut nonce = Sha256::new();
    nonce.update(proof.nonce_checkpoint_digest);
    nonce.update(proof.nonce_random);
    if proof.nonce != <[u8; 32]>::from(nonce.finalize()) {
        return Err(RegistryError::BadNonce { nonce: proof.nonce });
    }
    if proof.weak {
        // Nobody but the station has the session's key: there is nothing to verify.
        return match algorithm {
            Algorithm::P256 => Err(RegistryError::WeakNotAllowed {
                algorithm: algorithm.name(),
            }),
            Algorithm::Rsa2048 | Algorithm::Rsa3072 => Ok(()),
        };
    }
    let mut transcript = Vec::with_capacity(TRANSCRIPT_CAPACITY);
    proof
        .transcript()
        .write(|bytes| transcript.extend_from_slice(bytes));
    public_key
        .verify_sig(&transcript, &proof.authenticator)
        .map_err(|_| RegistryError::ProofInvalid {
            device_id: proof.device_id,
            fingerprint: proof.fingerprint(),
        })
}
