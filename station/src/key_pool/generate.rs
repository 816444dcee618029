//! Makes one key.

use aws_lc_rs::encoding::{AsBigEndian, AsDer, EcPrivateKeyBin};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use keyline_protocol::identity::Algorithm;
use keyline_protocol::message::Point;
use keyline_protocol::spki;
use p256::elliptic_curve::Generate as _;
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use rsa::pkcs1::EncodeRsaPrivateKey as _;
use zeroize::{Zeroize as _, Zeroizing};

use super::StationKey;
use crate::secret::{Arena, SecretError, on_wiped_memory};

/// Which library makes the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// `aws-lc-rs`.
    AwsLc,
    /// `p256` and `rsa`.
    RustCrypto,
}

impl Library {
    /// Both.
    pub const ALL: [Self; 2] = [Self::AwsLc, Self::RustCrypto];

    /// The faster one for each algorithm, as `make bench` measures them.
    #[must_use]
    pub const fn fastest(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::P256 => Self::AwsLc,
            Algorithm::Rsa2048 | Algorithm::Rsa3072 => Self::RustCrypto,
        }
    }
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The library failed.
    #[error("expected a new {} key, the library failed to make one", .algorithm.name())]
    Library {
        /// The algorithm.
        algorithm: Algorithm,
    },
    /// The library made a key that is not as it was ordered.
    #[error("expected a {} key with its exact length and the exponent 65537, the library made another", .algorithm.name())]
    Unfit {
        /// The algorithm.
        algorithm: Algorithm,
    },
    /// No room for it.
    #[error("the new key found no room")]
    NoRoom(#[from] SecretError),
}

/// Makes a key and puts its private half into the arena. What the library used on the way is wiped.
///
/// # Errors
/// [`GenerateError`].
pub fn generate(
    algorithm: Algorithm,
    library: Library,
    arena: &Arena,
) -> Result<StationKey, GenerateError> {
    on_wiped_memory(|| {
        let (private, spki) = match (algorithm, library) {
            (Algorithm::P256, Library::AwsLc) => p256_by_aws_lc()?,
            (Algorithm::P256, Library::RustCrypto) => p256_by_rust_crypto()?,
            (_, Library::AwsLc) => rsa_by_aws_lc(algorithm)?,
            (_, Library::RustCrypto) => rsa_by_rust_crypto(algorithm)?,
        };
        Ok(StationKey {
            algorithm,
            private: arena.store(&private)?,
            spki,
        })
    })
}

type Halves = (Zeroizing<Vec<u8>>, Vec<u8>);

const fn failed(algorithm: Algorithm) -> GenerateError {
    GenerateError::Library { algorithm }
}

const fn unfit(algorithm: Algorithm) -> GenerateError {
    GenerateError::Unfit { algorithm }
}

fn p256_by_aws_lc() -> Result<Halves, GenerateError> {
    let failed = |_| failed(Algorithm::P256);
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?;
    let scalar: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().map_err(failed)?;
    let private = Zeroizing::new(scalar.as_ref().to_vec());
    Ok((private, p256_spki(pair.public_key().as_ref())?))
}

fn p256_by_rust_crypto() -> Result<Halves, GenerateError> {
    let key = p256::SecretKey::try_generate().map_err(|_| failed(Algorithm::P256))?;
    let mut scalar = key.to_bytes();
    let private = Zeroizing::new(scalar.to_vec());
    scalar.zeroize();
    Ok((private, p256_spki(&key.public_key().to_sec1_bytes())?))
}

/// From an uncompressed point: 0x04, x, y.
fn p256_spki(point: &[u8]) -> Result<Vec<u8>, GenerateError> {
    let unfit = || unfit(Algorithm::P256);
    let (&4, coordinates) = point.split_first().ok_or_else(unfit)? else {
        return Err(unfit());
    };
    let (x, y) = coordinates.split_first_chunk::<32>().ok_or_else(unfit)?;
    let y = y.try_into().map_err(|_| unfit())?;
    Ok(spki::p256(&Point { x: *x, y }).to_vec())
}

fn rsa_by_aws_lc(algorithm: Algorithm) -> Result<Halves, GenerateError> {
    let failed = || failed(algorithm);
    let size = match algorithm {
        Algorithm::P256 => return Err(failed()),
        Algorithm::Rsa2048 => KeySize::Rsa2048,
        Algorithm::Rsa3072 => KeySize::Rsa3072,
    };
    let pair = aws_lc_rs::rsa::KeyPair::generate(size).map_err(|_| failed())?;
    let pkcs8 = pair.as_der().map_err(|_| failed())?;
    let info = pkcs8::PrivateKeyInfoRef::try_from(pkcs8.as_ref()).map_err(|_| failed())?;
    rsa_halves(algorithm, info.private_key.as_bytes())
}

fn rsa_by_rust_crypto(algorithm: Algorithm) -> Result<Halves, GenerateError> {
    let bits = algorithm
        .modulus_length()
        .ok_or_else(|| failed(algorithm))?
        * 8;
    let key = rsa::PrivateKey::new(&mut UnwrapErr(SysRng), bits).map_err(|_| failed(algorithm))?;
    let der = key.to_pkcs1_der().map_err(|_| failed(algorithm))?;
    rsa_halves(algorithm, der.as_bytes())
}

fn rsa_halves(algorithm: Algorithm, private: &[u8]) -> Result<Halves, GenerateError> {
    let unfit = || unfit(algorithm);
    let modulus = spki::rsa_modulus_of_private_key(algorithm, private).ok_or_else(unfit)?;
    let mut public = vec![0; spki::LENGTH_MAX];
    let length = spki::rsa(algorithm, modulus, &mut public).ok_or_else(unfit)?;
    public.truncate(length);
    Ok((Zeroizing::new(private.to_vec()), public))
}
