//! P-256 as the agent needs it: a public key, a key agreement, a signature and its verification.
//!
//! Multiples of the base point come from [`crate::comb`], everything else from the library. Scalars are wiped after use.

use keyline_protocol::identity::Digest;
use keyline_protocol::message::Point;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::elliptic_curve::bigint::U256;
use p256::elliptic_curve::ff::Field;
use p256::elliptic_curve::ops::Reduce;
use p256::elliptic_curve::point::AffineCoordinates;
use p256::elliptic_curve::{Curve, PrimeField};
use p256::{AffinePoint, FieldBytes, NistP256, ProjectivePoint, PublicKey, Scalar};
use rfc6979::KGenerator;
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use crate::comb;

/// How often a signature begins anew because `r` or `s` came out as zero. Once is already beyond what will ever be seen.
const ATTEMPTS: usize = 4;

/// A private key: a scalar from 1 to the group's order less one, wiped when it is dropped.
pub(crate) struct SecretScalar(Zeroizing<Scalar>);

impl SecretScalar {
    /// Reads a big-endian scalar; `None` for zero and for anything not below the group's order.
    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let mut representation = FieldBytes::from(*bytes);
        let scalar = Option::<Scalar>::from(Scalar::from_repr(representation));
        representation.zeroize();
        let scalar = Zeroizing::new(scalar?);
        (!bool::from(scalar.is_zero())).then_some(Self(scalar))
    }

    /// The public key.
    pub(crate) fn public(&self) -> Point {
        let point = comb::multiply(&self.0).to_affine();
        Point {
            x: point.x().into(),
            y: point.y().into(),
        }
    }

    /// The x coordinate that both sides of an ECDH agree on; `None` where `other` is not a point of the curve.
    pub(crate) fn agree(&self, other: &Point) -> Option<Zeroizing<[u8; 32]>> {
        let other = ProjectivePoint::from(affine(other)?);
        Some(Zeroizing::new((other * *self.0).to_affine().x().into()))
    }

    /// ECDSA over `digest` (FIPS 186-5, 6.4.1) with the deterministic `k` of RFC 6979: `r ‖ s`.
    ///
    /// `None` only where four `k` in a row give a zero.
    pub(crate) fn sign(&self, digest: &Digest) -> Option<[u8; 64]> {
        let order = NistP256::ORDER;
        let secret = Zeroizing::new(self.0.to_repr());
        let mut candidates = KGenerator::<Sha256, U256>::new(&secret, digest, &[], &order);
        let hashed = Scalar::reduce(&FieldBytes::from(*digest));
        for _ in 0..ATTEMPTS {
            let mut bytes = Zeroizing::new([0; 32]);
            candidates.fill_next_k(&mut *bytes);
            let Some(ephemeral) = Self::from_bytes(&bytes) else {
                continue;
            };
            let commitment = Scalar::reduce(&comb::multiply(&ephemeral.0).to_affine().x());
            let inverse = Zeroizing::new(ephemeral.0.invert().unwrap_or(Scalar::ZERO));
            let response = *inverse * (hashed + commitment * *self.0);
            if let Ok(signature) = Signature::from_scalars(commitment, response) {
                return Some(signature.to_bytes().into());
            }
        }
        None
    }
}

/// Whether `point` is a point of the curve.
pub(crate) fn is_on_curve(point: &Point) -> bool {
    affine(point).is_some()
}

fn affine(point: &Point) -> Option<AffinePoint> {
    AffinePoint::from_coordinates(&point.x.into(), &point.y.into()).into()
}

/// Whether `signature` (`r ‖ s`, 64 bytes) is one by the key `signer` over `digest`.
pub(crate) fn verify(signer: &Point, digest: &Digest, signature: &[u8]) -> bool {
    let verified = || {
        let key = PublicKey::from_affine(affine(signer)?).ok()?;
        let signature = Signature::from_slice(signature).ok()?;
        VerifyingKey::from(key)
            .verify_prehash(digest, &signature)
            .ok()
    };
    verified().is_some()
}

#[cfg(test)]
mod tests {
    use p256::SecretKey;
    use p256::ecdsa::SigningKey;
    use p256::ecdsa::signature::hazmat::PrehashSigner;
    use p256::elliptic_curve::sec1::ToSec1Point;
    use proptest::prelude::*;
    use sha2::Digest as _;

    use super::*;

    /// A key from RFC 6979, A.2.5.
    const KEY: [u8; 32] = [
        0xc9, 0xaf, 0xa9, 0xd8, 0x45, 0xba, 0x75, 0x16, 0x6b, 0x5c, 0x21, 0x57, 0x67, 0xb1, 0xd6,
        0x93, 0x4e, 0x50, 0xc3, 0xdb, 0x36, 0xe8, 0x9b, 0x12, 0x7b, 0x8a, 0x62, 0x2b, 0x12, 0x0f,
        0x67, 0x21,
    ];

    fn hexadecimal<const N: usize>(text: &str) -> [u8; N] {
        core::array::from_fn(|index| {
            u8::from_str_radix(&text[2 * index..2 * index + 2], 16).expect("hexadecimal digits")
        })
    }

    #[test]
    fn the_vectors_of_rfc_6979_come_out() {
        let key = SecretScalar::from_bytes(&KEY).expect("a key");
        assert_eq!(
            key.public().x,
            hexadecimal("60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6")
        );
        for (message, signature) in [
            (
                "sample",
                "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716\
                 f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
            ),
            (
                "test",
                "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367\
                 019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083",
            ),
        ] {
            let digest = Sha256::digest(message).into();
            assert_eq!(key.sign(&digest), Some(hexadecimal(signature)), "{message}");
        }
    }

    #[test]
    fn what_is_no_private_key_is_refused() {
        let order = hexadecimal("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
        for bytes in [[0; 32], order, [0xff; 32]] {
            assert!(SecretScalar::from_bytes(&bytes).is_none());
        }
        let mut last = order;
        last[31] -= 1;
        assert!(SecretScalar::from_bytes(&last).is_some());
    }

    #[test]
    fn what_is_no_point_is_refused() {
        let key = SecretScalar::from_bytes(&KEY).expect("a key");
        let mut point = key.public();
        assert!(key.agree(&point).is_some());
        point.y[31] ^= 1;
        assert!(key.agree(&point).is_none());
        assert!(!is_on_curve(&point));
        assert!(!verify(&point, &[0; 32], &[1; 64]));
    }

    proptest! {
        #[test]
        fn keys_agreements_and_signatures_are_the_librarys(
            secret in any::<[u8; 32]>(), other in any::<[u8; 32]>(), digest in any::<[u8; 32]>(),
        ) {
            let (Some(key), Some(peer)) = (SecretScalar::from_bytes(&secret), SecretScalar::from_bytes(&other)) else {
                return Ok(());
            };
            let library = SecretKey::from_bytes(&secret.into()).expect("the same range");
            let sec1 = library.public_key().to_sec1_point(false);
            prop_assert_eq!(sec1.as_bytes(), &key.public().to_sec1()[..]);

            let signature: Signature = SigningKey::from(&library).sign_prehash(&digest).expect("a signature");
            let ours = key.sign(&digest).expect("a signature");
            prop_assert_eq!(&signature.to_bytes()[..], &ours[..]);
            prop_assert!(verify(&key.public(), &digest, &ours));
            let mut changed = ours;
            changed[usize::from(digest[0]) % 64] ^= 1;
            prop_assert!(!verify(&key.public(), &digest, &changed));
            prop_assert!(!verify(&peer.public(), &digest, &ours) || secret == other);

            prop_assert_eq!(key.agree(&peer.public()), peer.agree(&key.public()));
        }
    }
}
