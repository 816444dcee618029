//! RSA signatures, for chips with an allocator and the RAM for it.

use keyline_protocol::identity::Digest;
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::{Pkcs1v15Sign, PrivateKey};
use sha2::Sha256;

/// Signs `digest` by PKCS #1 v1.5 with SHA-256 with the key `der` (`RSAPrivateKey`, RFC 8017, A.1.2), to the front of `into`.
///
/// `None` where the bytes are no consistent key, or `into` is shorter than the signature.
pub(crate) fn sign<'a>(der: &[u8], digest: &Digest, into: &'a mut [u8]) -> Option<&'a [u8]> {
    let key = PrivateKey::from_pkcs1_der(der).ok()?;
    let signature = key.sign(Pkcs1v15Sign::new::<Sha256>(), digest).ok()?;
    let place = into.get_mut(..signature.len())?;
    place.copy_from_slice(&signature);
    Some(place)
}
