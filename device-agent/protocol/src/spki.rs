//! Public keys as SPKI DER (RFC 5280, 4.1.2.7), written without an encoder: each algorithm here has one fixed prefix.

use crate::identity::Algorithm;
use crate::message::Point;

/// The length of a P-256 key's SPKI DER.
pub const P256_LENGTH: usize = 91;

/// The longest SPKI DER of a device key: RSA with 3,072 bits.
pub const LENGTH_MAX: usize = 422;

/// SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING { 0x04 … } }, up to the coordinates (RFC 5480, 2.1.1).
const P256_PREFIX: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];

/// SEQUENCE { rsaEncryption, NULL } (RFC 8017, A.1).
const RSA_ALGORITHM: [u8; 15] = [
    0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];

/// INTEGER 65537.
const RSA_EXPONENT: [u8; 5] = [0x02, 0x03, 0x01, 0x00, 0x01];

/// A P-256 public key as SPKI DER.
#[must_use]
pub fn p256(point: &Point) -> [u8; P256_LENGTH] {
    let mut der = [0; P256_LENGTH];
    der[..27].copy_from_slice(&P256_PREFIX);
    der[27..59].copy_from_slice(&point.x);
    der[59..].copy_from_slice(&point.y);
    der
}

/// The point in a P-256 key's SPKI DER; `None` for any other bytes. Whether it is on the curve is not checked.
#[must_use]
pub fn p256_point(der: &[u8]) -> Option<Point> {
    let (prefix, coordinates) = der.split_first_chunk::<27>()?;
    let (x, y) = coordinates.split_first_chunk::<32>()?;
    (*prefix == P256_PREFIX).then_some(())?;
    Some(Point {
        x: *x,
        y: y.try_into().ok()?,
    })
}

/// Writes an RSA public key with exponent 65537 as SPKI DER to the front of `out` and gives its length.
///
/// `None` where `modulus` (big-endian, no leading zero) is not as long as the algorithm says or its top bit is clear, where the
/// algorithm is not RSA, or where `out` is too short ([`LENGTH_MAX`] always suffices).
#[must_use]
pub fn rsa(algorithm: Algorithm, modulus: &[u8], out: &mut [u8]) -> Option<usize> {
    if algorithm.modulus_length()? != modulus.len() || modulus[0] & 0x80 == 0 {
        return None;
    }
    // The modulus has its top bit set, so as an INTEGER it is preceded by a zero.
    let integer = modulus.len() + 1;
    let key = 4 + integer + RSA_EXPONENT.len();
    let bit_string = 1 + 4 + key;
    let whole = RSA_ALGORITHM.len() + 4 + bit_string;
    let mut writer = Writer { out, length: 0 };
    writer.header(0x30, whole)?;
    writer.put(&RSA_ALGORITHM)?;
    writer.header(0x03, bit_string)?;
    writer.put(&[0])?;
    writer.header(0x30, key)?;
    writer.header(0x02, integer)?;
    writer.put(&[0])?;
    writer.put(modulus)?;
    writer.put(&RSA_EXPONENT)?;
    Some(writer.length)
}

struct Writer<'a> {
    out: &'a mut [u8],
    length: usize,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        self.out
            .get_mut(self.length..self.length + bytes.len())?
            .copy_from_slice(bytes);
        self.length += bytes.len();
        Some(())
    }

    /// A tag with a two-byte length: every object in an RSA key of these sizes is between 256 and 65,535 bytes long.
    fn header(&mut self, tag: u8, length: usize) -> Option<()> {
        let length = u16::try_from(length).ok()?.to_be_bytes();
        self.put(&[tag, 0x82, length[0], length[1]])
    }
}

/// Finds the modulus in an `RSAPrivateKey` DER (RFC 8017, A.1.2) and checks that the exponent is 65537.
///
/// `None` where the bytes are no such key or its modulus is not as long as the algorithm says.
#[must_use]
pub fn rsa_modulus_of_private_key(algorithm: Algorithm, der: &[u8]) -> Option<&[u8]> {
    let (sequence, rest) = element(0x30, der)?;
    if !rest.is_empty() {
        return None;
    }
    let (version, rest) = element(0x02, sequence)?;
    let (modulus, rest) = element(0x02, rest)?;
    let (exponent, _) = element(0x02, rest)?;
    let (&0, modulus) = modulus.split_first()? else {
        return None;
    };
    (version == [0] && exponent == [1, 0, 1] && algorithm.modulus_length()? == modulus.len())
        .then_some(modulus)
}

/// Splits off one DER element of the given tag: its content, and what follows it.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = der.split_first_chunk::<2>()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => (
            usize::from(u16::from_be_bytes(*rest.first_chunk::<2>()?)),
            rest.get(2..)?,
        ),
        _ => return None,
    };
    (found == tag && length <= rest.len()).then(|| rest.split_at(length))
}
