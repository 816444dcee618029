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

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
    };
    use keyline_protocol::message::Point;
    use sha2::{Digest as _, Sha256};

    use super::*;

    const MESSAGE: &[u8] = b"what was signed";

    /// A key of each algorithm, and its signature over [`MESSAGE`].
    fn signed(algorithm: Algorithm) -> (Vec<u8>, Vec<u8>) {
        let random = SystemRandom::new();
        let size = match algorithm {
            Algorithm::P256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
                let point = Point::from_sec1(pair.public_key().as_ref()).unwrap();
                let signature = pair.sign(&random, MESSAGE).unwrap();
                return (spki::p256(&point).to_vec(), signature.as_ref().to_vec());
            }
            Algorithm::Rsa2048 => KeySize::Rsa2048,
            Algorithm::Rsa3072 => KeySize::Rsa3072,
        };
        let pair = RsaKeyPair::generate(size).unwrap();
        let mut signature = vec![0; algorithm.signature_length()];
        pair.sign(&RSA_PKCS1_SHA256, &random, MESSAGE, &mut signature)
            .unwrap();
        let public = aws_lc_rs::encoding::AsDer::as_der(pair.public_key()).unwrap();
        (public.as_ref().to_vec(), signature)
    }

    #[test]
    fn takes_the_key_s_own_signature_and_no_other() {
        let digest: Digest = Sha256::digest(MESSAGE).into();
        for algorithm in Algorithm::ALL {
            let (public_key, signature) = signed(algorithm);
            let (stranger, _) = signed(algorithm);
            assert_eq!(verify(algorithm, &public_key, &digest, &signature), Ok(()));
            for (key, digest, at) in [
                (&stranger, digest, None),
                (&public_key, [0; 32], None),
                (&public_key, digest, Some(0)),
                (&public_key, digest, Some(signature.len() - 1)),
            ] {
                let mut changed = signature.clone();
                if let Some(at) = at {
                    changed[at] ^= 1;
                }
                assert_eq!(
                    verify(algorithm, key, &digest, &changed),
                    Err(SignatureError::Invalid)
                );
            }
        }
    }

    #[test]
    fn refuses_keys_and_signatures_of_another_shape() {
        let digest: Digest = Sha256::digest(MESSAGE).into();
        let (p256, signature) = signed(Algorithm::P256);
        let (rsa, rsa_signature) = signed(Algorithm::Rsa2048);
        let short = verify(Algorithm::P256, &p256, &digest, &signature[1..]);
        assert_eq!(
            short,
            Err(SignatureError::Length {
                expected: 64,
                got: 63
            })
        );
        let mut trailing = rsa.clone();
        trailing.push(0);
        for (algorithm, key, signature) in [
            (Algorithm::P256, &rsa, &signature),
            (Algorithm::Rsa2048, &p256, &rsa_signature),
            (Algorithm::Rsa2048, &trailing, &rsa_signature),
            (Algorithm::Rsa2048, &Vec::new(), &rsa_signature),
        ] {
            let verdict = verify(algorithm, key, &digest, signature);
            assert!(
                matches!(verdict, Err(SignatureError::NotThatKey { .. })),
                "{verdict:?}"
            );
        }
    }
}
