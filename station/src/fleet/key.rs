//! From what people keep in tables to a device's public key in its only encoding.
//!
//! The encodings are taken apart here; what the key is gets checked by the parser of the cloud's key, then by the rules for devices:
//! P-256, RSA-2048 or RSA-3072 with the exponent 65537.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::{alphabet, engine};
use keyline_protocol::identity::Algorithm;
use keyline_protocol::spki;
use x509_cert::der;
use x509_cert::der::asn1::{Any, BitString, ObjectIdentifier};
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use super::refusal::RefusalCode;
use super::{jwk, rsa};
use crate::cloud_key::{CloudKey, CloudKeyError, CloudKeyKind, Element, find_private_key};

/// `rsaEncryption` (RFC 8017, A.1).
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

const PADDING_MAY_LACK: GeneralPurposeConfig =
    engine::GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, PADDING_MAY_LACK);
pub(super) const BASE64_URL: GeneralPurpose =
    GeneralPurpose::new(&alphabet::URL_SAFE, PADDING_MAY_LACK);

/// A public key that a device may have. Holding it proves that the bytes are its one canonical SPKI and that no check here speaks against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceKey {
    algorithm: Algorithm,
    spki: Vec<u8>,
}

/// Why a text is no device's public key. No message holds anything of the text but names and numbers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefusal {
    /// Nothing there.
    #[error("expected a public key, got an empty field")]
    Empty,
    /// A private key.
    #[error("expected a public key, got a private key ({kind})")]
    PrivateKey {
        /// Its format.
        kind: &'static str,
    },
    /// A certificate.
    #[error("expected a public key, got a certificate")]
    Certificate,
    /// Something else.
    #[error("expected a public key as PEM, as base64 or hexadecimal DER, or as JWK, got {got}")]
    Format {
        /// What it looks like.
        got: String,
    },
    /// A PEM block that is not whole.
    #[error("expected a whole PEM block, got one that is cut off or damaged")]
    Armour,
    /// More than one PEM block.
    #[error("expected one key, got {got} PEM blocks")]
    Several {
        /// How many.
        got: usize,
    },
    /// DER that ends too early.
    #[error("expected {expected} bytes of DER, got {got}: the key is cut off")]
    CutOff {
        /// The length that it states.
        expected: usize,
        /// Its length.
        got: usize,
    },
    /// DER with something behind it.
    #[error("expected nothing after the key, got {got} more bytes")]
    Trailing {
        /// How many.
        got: usize,
    },
    /// DER that is no key.
    #[error("expected a public key (SPKI or PKCS #1), got other or damaged DER")]
    Structure,
    /// Another algorithm.
    #[error("expected a P-256 or RSA key, got {got}")]
    Algorithm {
        /// Its name or number.
        got: String,
    },
    /// Another curve.
    #[error("expected the curve P-256, got {got}")]
    Curve {
        /// Its name or number.
        got: String,
    },
    /// Another writing of the point.
    #[error("expected an uncompressed point of 65 bytes, got {got} bytes")]
    PointForm {
        /// Its length.
        got: usize,
    },
    /// The neutral element.
    #[error("expected a point on the curve P-256, got the point at infinity")]
    Infinity,
    /// A point of no curve.
    #[error("expected a point on the curve P-256, got one that is not on it")]
    PointInvalid,
    /// Another length.
    #[error("expected an RSA modulus of 2048 or 3072 bits, got {got} bits")]
    ModulusLength {
        /// Its length in bits.
        got: usize,
    },
    /// Longer than any of them.
    #[error("expected an RSA modulus of 2048 or 3072 bits, got a longer one")]
    TooLong,
    /// An even modulus.
    #[error("expected an RSA modulus of two large primes, got an even one")]
    ModulusEven,
    /// A modulus with a small factor.
    #[error("expected an RSA modulus of two large primes, got one that {divisor} divides")]
    ModulusWeak {
        /// A small divisor.
        divisor: u32,
    },
    /// Another exponent.
    #[error("expected the RSA exponent 65537, got {got}")]
    Exponent {
        /// What stands there.
        got: String,
    },
    /// CVE-2017-15361.
    #[error(
        "expected an RSA modulus of two random primes, got one of the weak generator of CVE-2017-15361 (ROCA)"
    )]
    Roca,
    /// Primes that differ too little.
    #[error(
        "expected an RSA modulus of two distant primes, got one of two that lie next to each other"
    )]
    ClosePrimes,
    /// A JWK that is none.
    #[error("expected a JWK of an EC or RSA public key, got one {problem}")]
    Jwk {
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl KeyRefusal {
    /// The code of a row with this key.
    #[must_use]
    pub const fn code(&self) -> RefusalCode {
        match self {
            Self::Empty => RefusalCode::Missing,
            Self::PrivateKey { .. } => RefusalCode::PrivateKey,
            Self::Certificate => RefusalCode::Certificate,
            Self::Format { .. } | Self::Several { .. } | Self::Jwk { .. } => RefusalCode::NotAKey,
            Self::Armour | Self::CutOff { .. } | Self::Trailing { .. } | Self::Structure => {
                RefusalCode::DamagedKey
            }
            Self::Algorithm { .. } => RefusalCode::WrongAlgorithm,
            Self::Curve { .. } => RefusalCode::WrongCurve,
            Self::PointForm { .. } | Self::Infinity | Self::PointInvalid => RefusalCode::BadPoint,
            Self::ModulusLength { .. } | Self::TooLong => RefusalCode::RsaSize,
            Self::ModulusEven | Self::ModulusWeak { .. } => RefusalCode::RsaModulus,
            Self::Exponent { .. } => RefusalCode::RsaExponent,
            Self::Roca => RefusalCode::RsaRoca,
            Self::ClosePrimes => RefusalCode::RsaClosePrimes,
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn next(&self) -> &'static str {
        match self {
            Self::Empty | Self::Format { .. } | Self::Several { .. } | Self::Jwk { .. } => {
                "Put the device's public key there, alone (`openssl pkey -pubin -in FILE`)."
            }
            Self::PrivateKey { .. } => {
                "Take the file off this machine. The key is no secret any more: revoke it and give the device a new one."
            }
            Self::Certificate => {
                "Take the public key out of it (`openssl x509 -in FILE -pubkey -noout`)."
            }
            Self::Armour | Self::CutOff { .. } | Self::Trailing { .. } | Self::Structure => {
                "Export the key again from where the device's key was recorded."
            }
            Self::PointForm { .. } => {
                "Convert it (`openssl ec -pubin -in FILE -conv_form uncompressed`)."
            }
            Self::Algorithm { .. }
            | Self::Curve { .. }
            | Self::ModulusLength { .. }
            | Self::TooLong
            | Self::Exponent { .. } => {
                "This device can't be imported as it is: give it a P-256, RSA-2048 or RSA-3072 key with exponent 65537."
            }
            Self::Infinity | Self::PointInvalid => {
                "The key is damaged or hostile: export it again from where it was recorded."
            }
            Self::ModulusEven | Self::ModulusWeak { .. } | Self::Roca | Self::ClosePrimes => {
                "Others can find this device's private key: revoke it and give the device a new one."
            }
        }
    }
}

impl DeviceKey {
    /// Reads PEM (with line ends or `\n` for them), base64 or hexadecimal DER (SPKI or PKCS #1), or a JWK.
    ///
    /// # Errors
    /// [`KeyRefusal`], a variant for each way to be wrong.
    pub fn parse(text: &str) -> Result<Self, KeyRefusal> {
        let text = text.trim();
        if text.is_empty() {
            return Err(KeyRefusal::Empty);
        }
        if let Some(kind) = find_private_key(text.as_bytes()) {
            return Err(KeyRefusal::PrivateKey { kind });
        }
        if text.starts_with('{') {
            return jwk::parse_text(text);
        }
        if text.contains("-----") {
            return from_pem(&text.replace("\\r", "").replace("\\n", "\n"));
        }
        Self::from_der(&decoded(text)?)
    }

    /// Reads SPKI or PKCS #1 DER.
    ///
    /// # Errors
    /// As [`DeviceKey::parse`].
    pub fn from_der(bytes: &[u8]) -> Result<Self, KeyRefusal> {
        if let Some(kind) = find_private_key(bytes) {
            return Err(KeyRefusal::PrivateKey { kind });
        }
        let first = Element::first(bytes)
            .filter(|outer| outer.tag == 0x30 && outer.rest.is_empty())
            .and_then(|outer| Element::first(outer.content));
        match first {
            Some(first) if first.tag == 0x02 => from_pkcs1(bytes),
            Some(first)
                if first.tag == 0x30 && matches!(first.content.first(), Some(0xa0 | 0x02)) =>
            {
                Err(KeyRefusal::Certificate)
            }
            _ => from_checked(bytes),
        }
    }

    /// Its algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// SPKI DER.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// SPKI DER, as its owner.
    #[must_use]
    pub fn into_spki(self) -> Vec<u8> {
        self.spki
    }
}

/// Hexadecimal or base64; a text that could be both is hexadecimal where that is a DER sequence.
fn decoded(text: &str) -> Result<Vec<u8>, KeyRefusal> {
    let compact: String = text
        .chars()
        .filter(|found| !found.is_ascii_whitespace())
        .collect();
    if compact.starts_with("30")
        && let Ok(bytes) = hex::decode(&compact)
    {
        return Ok(bytes);
    }
    let bytes = BASE64
        .decode(&compact)
        .or_else(|_| BASE64_URL.decode(&compact))
        .map_err(|_| no_encoding(text))?;
    if bytes.first() == Some(&0x30) {
        Ok(bytes)
    } else {
        Err(no_encoding(text))
    }
}

fn no_encoding(text: &str) -> KeyRefusal {
    let got = if text.starts_with("ssh-") || text.starts_with("ecdsa-sha2-") {
        "an OpenSSH public key"
    } else {
        "text that is no key"
    };
    KeyRefusal::Format {
        got: got.to_owned(),
    }
}

fn from_pem(text: &str) -> Result<DeviceKey, KeyRefusal> {
    if text.contains("-----BEGIN CERTIFICATE-----")
        || text.contains("-----BEGIN X509 CERTIFICATE-----")
        || text.contains("-----BEGIN TRUSTED CERTIFICATE-----")
    {
        return Err(KeyRefusal::Certificate);
    }
    if text.starts_with("-----BEGIN RSA PUBLIC KEY-----")
        && text.matches("-----BEGIN ").count() == 1
    {
        let (_, bytes) = der::pem::decode_vec(text.as_bytes()).map_err(|_| KeyRefusal::Armour)?;
        return DeviceKey::from_der(&bytes);
    }
    from_checked(text.as_bytes())
}

/// Wraps an `RSAPublicKey` (RFC 8017, A.1.1) into an SPKI.
pub(super) fn from_pkcs1(bytes: &[u8]) -> Result<DeviceKey, KeyRefusal> {
    let structure = |_| KeyRefusal::Structure;
    let info = SubjectPublicKeyInfoOwned {
        algorithm: AlgorithmIdentifierOwned {
            oid: RSA_ENCRYPTION,
            parameters: Some(Any::null()),
        },
        subject_public_key: BitString::from_bytes(bytes).map_err(structure)?,
    };
    from_checked(&info.to_der().map_err(structure)?)
}

/// An SPKI, PEM or DER: has it checked, then checks what devices need beyond.
pub(super) fn from_checked(content: &[u8]) -> Result<DeviceKey, KeyRefusal> {
    let key = CloudKey::parse(content).map_err(refusal)?;
    let algorithm = match key.kind() {
        CloudKeyKind::P256 => Algorithm::P256,
        CloudKeyKind::Rsa { bits: 2_048 } => Algorithm::Rsa2048,
        CloudKeyKind::Rsa { bits: 3_072 } => Algorithm::Rsa3072,
        CloudKeyKind::Rsa { bits } => return Err(KeyRefusal::ModulusLength { got: bits }),
    };
    if algorithm == Algorithm::P256 {
        return canonical_p256(key.spki());
    }
    let info =
        SubjectPublicKeyInfoOwned::from_der(key.spki()).map_err(|_| KeyRefusal::Structure)?;
    let modulus = rsa::checked_modulus(info.subject_public_key.as_bytes().unwrap_or_default())?;
    let mut encoded = vec![0; spki::LENGTH_MAX];
    let length = spki::rsa(algorithm, &modulus, &mut encoded).ok_or(KeyRefusal::Structure)?;
    encoded.truncate(length);
    Ok(DeviceKey {
        algorithm,
        spki: encoded,
    })
}

fn canonical_p256(encoded: &[u8]) -> Result<DeviceKey, KeyRefusal> {
    let point = spki::p256_point(encoded).ok_or(KeyRefusal::Structure)?;
    Ok(DeviceKey {
        algorithm: Algorithm::P256,
        spki: spki::p256(&point).to_vec(),
    })
}

/// The words of the cloud's key are for the cloud's people; these are for whoever has a list of devices.
fn refusal(error: CloudKeyError) -> KeyRefusal {
    match error {
        CloudKeyError::Unreadable { .. } | CloudKeyError::Structure { .. } => KeyRefusal::Structure,
        CloudKeyError::Empty => KeyRefusal::Empty,
        CloudKeyError::TooBig => KeyRefusal::Format {
            got: "a field that is longer than any key".to_owned(),
        },
        CloudKeyError::PrivateKey { kind } => KeyRefusal::PrivateKey { kind },
        CloudKeyError::Format { got, .. } => KeyRefusal::Format { got },
        CloudKeyError::Several { got } => KeyRefusal::Several { got },
        CloudKeyError::Armour => KeyRefusal::Armour,
        CloudKeyError::Truncated { expected, got } => KeyRefusal::CutOff { expected, got },
        CloudKeyError::Trailing { got } => KeyRefusal::Trailing { got },
        CloudKeyError::Algorithm { got } => KeyRefusal::Algorithm { got },
        CloudKeyError::Curve { got } => KeyRefusal::Curve { got },
        // SEC 1, 2.3.3: the point at infinity is the single byte 0.
        CloudKeyError::PointForm { got: 1 } => KeyRefusal::Infinity,
        CloudKeyError::PointForm { got } => KeyRefusal::PointForm { got },
        CloudKeyError::PointInvalid => KeyRefusal::PointInvalid,
        CloudKeyError::ModulusShort { got } => KeyRefusal::ModulusLength { got },
        CloudKeyError::TooLong { .. } => KeyRefusal::TooLong,
        CloudKeyError::ModulusWeak { divisor: 2 } => KeyRefusal::ModulusEven,
        CloudKeyError::ModulusWeak { divisor } => KeyRefusal::ModulusWeak { divisor },
        CloudKeyError::Exponent { got } => KeyRefusal::Exponent { got },
    }
}
