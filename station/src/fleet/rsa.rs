//! Moduli that look right and are not: keys of generators that are known to be weak.

use std::sync::LazyLock;

use ::rsa::pkcs1::RsaPublicKey;
use num_bigint::BigUint;
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::UintRef;

use super::key::KeyRefusal;
use crate::cloud_key::remainder;

/// The only exponent of a device key (FIPS 186-5, A.1.1, allows greater ones; units and the registry have this one).
const EXPONENT: &[u8] = &[1, 0, 1];

/// The weak generator of CVE-2017-15361 makes primes that are powers of this modulo a product of the first primes.
const ROCA_GENERATOR: u32 = 65_537;

/// The greatest prime in that product for moduli of 1,984 to 3,967 bits (Nemec et al., "The Return of Coppersmith's Attack", ACM CCS
/// 2017, 2.1 and table 1: the first 126 primes).
const ROCA_PRIME_MAX: u32 = 701;

/// Steps of Fermat's method. Primes that are drawn from one place and a little apart (CVE-2022-26320) fall in the first one; random
/// ones of this size never do.
const FERMAT_STEPS: u32 = 16;

/// The modulus of an `RSAPublicKey` DER whose length and small factors are checked already.
pub(super) fn checked_modulus(der: &[u8]) -> Result<Vec<u8>, KeyRefusal> {
    let key: RsaPublicKey<UintRef<'_>> =
        RsaPublicKey::from_der(der).map_err(|_| KeyRefusal::Structure)?;
    let exponent = key.public_exponent.as_bytes();
    if exponent != EXPONENT {
        let value = exponent
            .iter()
            .fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        return Err(KeyRefusal::Exponent {
            got: value.to_string(),
        });
    }
    let modulus = key.modulus.as_bytes();
    if has_roca_fingerprint(modulus) {
        return Err(KeyRefusal::Roca);
    }
    if has_close_primes(modulus) {
        return Err(KeyRefusal::ClosePrimes);
    }
    Ok(modulus.to_vec())
}

/// A prime, and which remainders powers of the generator have modulo it.
struct RocaPrime {
    prime: u32,
    powers: Vec<bool>,
}

static ROCA_PRIMES: LazyLock<Vec<RocaPrime>> = LazyLock::new(|| {
    let is_prime = |n: u32| {
        (2..n)
            .take_while(|d| d * d <= n)
            .all(|d| !n.is_multiple_of(d))
    };
    (3..=ROCA_PRIME_MAX)
        .filter(|n| is_prime(*n))
        .map(|prime| {
            let mut powers = vec![false; prime as usize];
            let mut power = 1;
            while !powers[power as usize] {
                powers[power as usize] = true;
                power = power * (ROCA_GENERATOR % prime) % prime;
            }
            RocaPrime { prime, powers }
        })
        .collect()
});

/// Both primes are powers of the generator modulo each small prime, so their product is one. Of random moduli fewer than one in 2^100 is.
fn has_roca_fingerprint(modulus: &[u8]) -> bool {
    ROCA_PRIMES.iter().all(|small| {
        let left = remainder(modulus, small.prime);
        small.powers.get(left as usize).is_some_and(|is| *is)
    })
}

/// Fermat's method: where n = a² − b² with a near √n, n falls apart into (a − b)(a + b).
fn has_close_primes(modulus: &[u8]) -> bool {
    let modulus = BigUint::from_bytes_be(modulus);
    let mut root = modulus.sqrt();
    if &root * &root < modulus {
        root += 1_u32;
    }
    (0..FERMAT_STEPS).any(|_| {
        let rest = &root * &root - &modulus;
        root += 1_u32;
        is_square(&rest)
    })
}

fn is_square(number: &BigUint) -> bool {
    // A square ends in 0, 1, 4 or 9 in hexadecimal; that spares three roots of four.
    let last = number.to_bytes_le().first().map_or(0, |byte| byte & 15);
    if !matches!(last, 0 | 1 | 4 | 9) {
        return false;
    }
    let root = number.sqrt();
    &root * &root == *number
}
