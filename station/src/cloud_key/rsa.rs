//! What an RSA public key must be to be trusted for the life of a device.

use rsa::pkcs1::RsaPublicKey;
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::UintRef;

use super::parse::CloudKeyError;

/// NIST SP 800-57 part 1 revision 5, table 2: 112 bits of security.
const MODULUS_BITS_MIN: usize = 2_048;

/// FIPS 186-5, A.1.1, asks for an odd exponent greater than 65,536; units verify with exponents of up to four bytes.
const EXPONENT_MIN: u64 = 65_537;
const EXPONENT_LENGTH_MAX: usize = 4;

/// A real modulus has no divisor below this; one that has is damaged or made to be broken.
const DIVISOR_LIMIT: u32 = 1_000;

/// Checks an `RSAPublicKey` DER and gives the length of its modulus in bits.
pub(super) fn check(der: &[u8]) -> Result<usize, CloudKeyError> {
    let key: RsaPublicKey<UintRef<'_>> =
        RsaPublicKey::from_der(der).map_err(|source| CloudKeyError::Structure { source })?;
    let modulus = key.modulus.as_bytes();
    let bits = bit_length(modulus);
    if bits < MODULUS_BITS_MIN {
        return Err(CloudKeyError::ModulusShort { got: bits });
    }
    if let Some(divisor) = small_divisor(modulus) {
        return Err(CloudKeyError::ModulusWeak { divisor });
    }
    check_exponent(key.public_exponent.as_bytes())?;
    Ok(bits)
}

fn check_exponent(bytes: &[u8]) -> Result<(), CloudKeyError> {
    if bytes.len() > EXPONENT_LENGTH_MAX {
        return Err(CloudKeyError::Exponent {
            got: format!("a number of {} bits", bit_length(bytes)),
        });
    }
    let exponent = bytes
        .iter()
        .fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    if exponent < EXPONENT_MIN || exponent % 2 == 0 {
        return Err(CloudKeyError::Exponent {
            got: exponent.to_string(),
        });
    }
    Ok(())
}

/// The length in bits of a big-endian number without leading zero bytes.
fn bit_length(bytes: &[u8]) -> usize {
    bytes
        .first()
        .map_or(0, |first| bytes.len() * 8 - first.leading_zeros() as usize)
}

/// The least divisor above 1, where there is a small one; it is prime by being the least.
fn small_divisor(bytes: &[u8]) -> Option<u32> {
    (2..DIVISOR_LIMIT).find(|divisor| remainder(bytes, *divisor) == 0)
}

/// What is left of a big-endian number divided by a small one, which must not be 0.
pub(crate) fn remainder(bytes: &[u8], divisor: u32) -> u32 {
    let divisor = u64::from(divisor);
    let (words, rest) = bytes.as_chunks::<4>();
    let high = words.iter().fold(0, |remainder, word| {
        (remainder << 32 | u64::from(u32::from_be_bytes(*word))) % divisor
    });
    let all = rest.iter().fold(high, |remainder, byte| {
        (remainder << 8 | u64::from(*byte)) % divisor
    });
    u32::try_from(all).unwrap_or(u32::MAX)
}
