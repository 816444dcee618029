//! RSA keys that look right and are not, made here as their makers make them; and ordinary ones that are not refused for it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyline_station::fleet::DeviceKey;
use keyline_station::fleet::RefusalCode::{
    RsaClosePrimes, RsaExponent, RsaModulus, RsaRoca, RsaSize,
};
use num_bigint::BigUint;
use sha2::{Digest as _, Sha256};

use crate::fixture::{json_key, refused_between};

/// A DER element.
pub(crate) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut header = vec![tag];
    if length < 0x80 {
        header.push(u8::try_from(length).unwrap());
    } else if let Ok(length) = u8::try_from(length) {
        header.extend([0x81, length]);
    } else {
        header.push(0x82);
        header.extend(u16::try_from(length).unwrap().to_be_bytes());
    }
    [header, content.to_vec()].concat()
}

pub(crate) fn sequence(content: &[u8]) -> Vec<u8> {
    element(0x30, content)
}

fn integer(bytes: &[u8]) -> Vec<u8> {
    let sign: &[u8] = if bytes[0] & 0x80 == 0 { &[] } else { &[0] };
    element(0x02, &[sign, bytes].concat())
}

/// `RSAPublicKey` (RFC 8017, A.1.1).
pub(crate) fn rsa_pkcs1(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    sequence(&[integer(modulus), integer(exponent)].concat())
}

pub(crate) fn rsa_spki(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let algorithm = hex::decode("300d06092a864886f70d0101010500").unwrap();
    let bits = element(0x03, &[vec![0], rsa_pkcs1(modulus, exponent)].concat());
    sequence(&[algorithm, bits].concat())
}

/// A number of exactly so many bits, the two highest and the lowest set, that this seed alone makes.
fn number(bits: u64, seed: u64) -> BigUint {
    let mut bytes = Vec::new();
    while (bytes.len() as u64) * 8 < bits {
        let mut block = Sha256::new();
        block.update(seed.to_be_bytes());
        block.update((bytes.len() as u64).to_be_bytes());
        bytes.extend(block.finalize());
    }
    let mut number = BigUint::from_bytes_be(&bytes) >> (bytes.len() as u64 * 8 - bits);
    number.set_bit(bits - 1, true);
    number.set_bit(bits - 2, true);
    number.set_bit(0, true);
    number
}

fn has_small_factor(number: &BigUint) -> bool {
    (2_u32..1_000).any(|divisor| number % divisor == BigUint::ZERO)
}

/// A number that passes for a modulus: nobody here can tell that it is no product of two primes.
pub(crate) fn ordinary_modulus(bits: u64, seed: u64) -> BigUint {
    (0..100_000)
        .map(|attempt| number(bits, seed * 1_000_000 + attempt))
        .find(|number| !has_small_factor(number))
        .unwrap()
}

/// The product of the primes up to 701.
fn primorial() -> BigUint {
    (2_u32..=701)
        .filter(|n| (2..*n).all(|d| n % d != 0))
        .fold(BigUint::from(1_u32), |product, prime| product * prime)
}

/// `k · M + 65537^a mod M`: how the generator of CVE-2017-15361 draws its primes.
fn roca_prime(bits: u64, seed: u64) -> BigUint {
    let primorial = primorial();
    let k = number(bits, seed) / &primorial;
    let power = BigUint::from(65_537_u32).modpow(&number(60, seed), &primorial);
    k * primorial + power
}

fn roca_modulus(bits: u64) -> BigUint {
    (0..100_000)
        .map(|seed| roca_prime(bits / 2, 2 * seed) * roca_prime(bits / 2, 2 * seed + 1))
        .find(|modulus| modulus.bits() == bits && !has_small_factor(modulus))
        .unwrap()
}

/// Two neighbours.
fn close_modulus(bits: u64, distance: u64) -> BigUint {
    (0..100_000)
        .map(|seed| {
            let first = number(bits / 2, seed);
            &first * (&first + distance)
        })
        .find(|modulus| modulus.bits() == bits && !has_small_factor(modulus))
        .unwrap()
}

fn key(modulus: &BigUint, exponent: &[u8]) -> String {
    json_key(
        1,
        &STANDARD.encode(rsa_spki(&modulus.to_bytes_be(), exponent)),
    )
}

#[test]
fn keys_of_the_weak_generator_are_recognised() {
    for bits in [2048, 3072] {
        refused_between(
            &key(&roca_modulus(bits), &[1, 0, 1]),
            RsaRoca,
            "expected an RSA modulus of two random primes, got one of the weak generator of CVE-2017-15361 (ROCA)",
        );
    }
}

#[test]
fn primes_that_are_too_close_are_recognised() {
    for (bits, distance) in [(2048, 0), (2048, 2), (3072, 1 << 60)] {
        refused_between(
            &key(&close_modulus(bits, distance), &[1, 0, 1]),
            RsaClosePrimes,
            "expected an RSA modulus of two distant primes, got one of two that lie next to each other",
        );
    }
}

#[test]
fn a_modulus_that_falls_apart_is_refused_with_its_divisor() {
    let even = ordinary_modulus(2048, 3) + 1_u32;
    refused_between(
        &key(&even, &[1, 0, 1]),
        RsaModulus,
        "expected an RSA modulus of two large primes, got an even one",
    );
    let mut divisible = ordinary_modulus(2048, 4);
    while (&divisible % 997_u32) != BigUint::ZERO
        || (2_u32..997).any(|divisor| &divisible % divisor == BigUint::ZERO)
    {
        divisible += 2_u32;
    }
    refused_between(
        &key(&divisible, &[1, 0, 1]),
        RsaModulus,
        "expected an RSA modulus of two large primes, got one that 997 divides",
    );
}

#[test]
fn another_exponent_is_refused() {
    let modulus = ordinary_modulus(2048, 5);
    for (exponent, got) in [
        (&[3][..], "3"),
        (&[1, 0, 0], "65536"),
        (&[1, 0, 2], "65538"),
        (&[1, 0, 3], "65539"),
        (&[1, 0, 0, 0, 1], "a number of 33 bits"),
    ] {
        refused_between(
            &key(&modulus, exponent),
            RsaExponent,
            &format!("expected the RSA exponent 65537, got {got}"),
        );
    }
}

#[test]
fn a_key_that_is_too_long_is_refused() {
    for (bits, got) in [(4096, "4096 bits"), (8192, "a longer one")] {
        refused_between(
            &key(&ordinary_modulus(bits, 6), &[1, 0, 1]),
            RsaSize,
            &format!("expected an RSA modulus of 2048 or 3072 bits, got {got}"),
        );
    }
}

#[test]
fn ordinary_moduli_are_not_taken_for_weak_ones() {
    for seed in 0..200 {
        let modulus = ordinary_modulus(2048, 100 + seed).to_bytes_be();
        let read = DeviceKey::from_der(&rsa_spki(&modulus, &[1, 0, 1]));
        assert!(read.is_ok(), "seed {seed}: {read:?}");
    }
}
