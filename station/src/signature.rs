//! Whether a device key made a signature. One place for all three algorithms, so that claims, sessions and proofs can't differ.

use aws_lc_rs::digest::{Digest as ForeignDigest, SHA256};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, VerificationAlgorithm,
};
use keyline_protocol::identity::{Algorithm, Digest};
use keyline_protocol::spki;

/// Why a signature was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The public key is not one of the algorithm.
    #[error("expected a public key for {algorithm}, got {length} other bytes", algorithm = .algorithm.name())]
    NotThatKey {
        /// The algorithm.
        algorithm: Algorithm,
        /// The length of what came instead, in bytes.
        length: usize,
    },
    /// The signature has another length than the algorithm's.
    #[error("expected a signature of {expected} bytes, got {got}")]
    Length {
        /// The algorithm's, in bytes.
        expected: usize,
        /// The signature's, in bytes.
        got: usize,
    },
    /// The signature was not made by this key over this digest.
    #[error("the signature was not made by this key over this message")]
    Invalid,
}

/// Checks a signature over a SHA-256 digest: P-256 as `r ‖ s`, RSA by PKCS #1 v1.5; `public_key` is SPKI DER.
///
/// # Errors
/// [`SignatureError`] unless the key is of the algorithm and made this very signature.
pub fn verify(
    algorithm: Algorithm,
    public_key: &[u8],
    digest: &Digest,
    signature: &[u8],
) -> Result<(), SignatureError> {
    let not_that_key = SignatureError::NotThatKey {
        algorithm,
        length: public_key.len(),
    };
    let expected = algorithm.signature_length();
    if signature.len() != expected {
        return Err(SignatureError::Length {
            expected,
            got: signature.len(),
        });
    }
    let digest =
        ForeignDigest::import_less_safe(digest, &SHA256).map_err(|_| SignatureError::Invalid)?;
    match algorithm {
        Algorithm::P256 => {
            let point = spki::p256_point(public_key).ok_or(not_that_key)?;
            ECDSA_P256_SHA256_FIXED.verify_digest_sig(&point.to_sec1(), &digest, signature)
        }
        Algorithm::Rsa2048 | Algorithm::Rsa3072 => {
            if !is_rsa(algorithm, public_key) {
                return Err(not_that_key);
            }
            RSA_PKCS1_2048_8192_SHA256.verify_digest_sig(public_key, &digest, signature)
        }
    }
    .map_err(|_| SignatureError::Invalid)
}

/// Whether the bytes are exactly the SPKI DER of an RSA key of this size with exponent 65537: writing the modulus found in them
/// gives the same bytes again.
fn is_rsa(algorithm: Algorithm, public_key: &[u8]) -> bool {
    /// The bytes behind the modulus: INTEGER 65537.
    const EXPONENT_LENGTH: usize = 5;
    let Some(modulus_length) = algorithm.modulus_length() else {
        return false;
    };
    let Some(modulus_start) = public_key
        .len()
        .checked_sub(EXPONENT_LENGTH + modulus_length)
    else {
        return false;
    };
    let modulus = &public_key[modulus_start..modulus_start + modulus_length];
    let mut written = [0; spki::LENGTH_MAX];
    spki::rsa(algorithm, modulus, &mut written)
        .is_some_and(|length| written[..length] == *public_key)
}
