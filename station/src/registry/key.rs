//! Public keys that the registry takes in: exactly the SPKI DER of a P-256 point on the curve, or of an RSA key of the right size.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use keyline_protocol::identity::Algorithm;
use keyline_protocol::spki;

use super::RegistryError;

/// No prime below this divides a modulus. OpenSSL's key check divides by the primes up to 751 as well.
const SMALL_PRIMES_BELOW: u32 = 752;

/// Reads a public key and checks that it is one of `algorithm`, in its only encoding.
pub(super) fn parse(
    algorithm: Algorithm,
    public_key: &[u8],
) -> Result<ParsedPublicKey, RegistryError> {
    let refuse = |problem| RegistryError::BadPublicKey {
        algorithm: algorithm.name(),
        problem,
    };
    match algorithm {
        Algorithm::P256 => {
            let point = spki::p256_point(public_key)
                .ok_or_else(|| refuse("got bytes that are no such key in its 91-byte encoding"))?;
            ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point.to_sec1())
                .map_err(|_| refuse("got a point that is not on the curve"))
        }
        Algorithm::Rsa2048 | Algorithm::Rsa3072 => {
            let modulus = modulus(algorithm, public_key).ok_or_else(|| {
                refuse("got bytes that are no such key with exponent 65537 in its DER encoding")
            })?;
            if has_small_factor(modulus) {
                return Err(refuse("got a modulus that a small prime divides"));
            }
            ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public_key)
                .map_err(|_| refuse("got a key that can't be used"))
        }
    }
}

/// The modulus: it stands before the exponent, which ends the encoding. Encoding it again must give the same bytes.
fn modulus(algorithm: Algorithm, public_key: &[u8]) -> Option<&[u8]> {
    const EXPONENT: usize = 5;
    let end = public_key.len().checked_sub(EXPONENT)?;
    let start = end.checked_sub(algorithm.modulus_length()?)?;
    let modulus = public_key.get(start..end)?;
    let mut encoded = [0; spki::LENGTH_MAX];
    let length = spki::rsa(algorithm, modulus, &mut encoded)?;
    (encoded[..length] == *public_key).then_some(modulus)
}

fn has_small_factor(modulus: &[u8]) -> bool {
    let divides = |prime: u32| {
        modulus
            .iter()
            .fold(0, |rest, byte| (rest << 8 | u32::from(*byte)) % prime)
            == 0
    };
    let is_prime = |n: u32| {
        (2..n)
            .take_while(|d| d * d <= n)
            .all(|d| !n.is_multiple_of(d))
    };
    (2..SMALL_PRIMES_BELOW)
        .filter(|n| is_prime(*n))
        .any(divides)
}
