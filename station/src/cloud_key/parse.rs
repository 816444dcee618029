//! From a file's bytes to a key that can be pinned.

use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::spki::SubjectPublicKeyInfoOwned;
use x509_cert::{Certificate, der};

use keyline_protocol::record::CLOUD_KEY_LENGTH_MAX;

use super::private::{self, Element};
use super::{CloudKey, CloudKeyKind, FILE_LENGTH_MAX, rsa};

/// `id-ecPublicKey` (RFC 5480, 2.1.1).
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// `prime256v1` (RFC 5480, 2.1.1.1).
const P256_CURVE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
/// `rsaEncryption` (RFC 8017, A.1).
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// Names for what people have by mistake: algorithms, then curves.
const KNOWN_NAMES: [(&str, &str); 12] = [
    ("1.3.101.112", "Ed25519"),
    ("1.3.101.113", "Ed448"),
    ("1.3.101.110", "X25519"),
    ("1.3.101.111", "X448"),
    ("1.2.840.10040.4.1", "DSA"),
    ("1.2.840.113549.1.3.1", "Diffie-Hellman"),
    ("1.2.840.113549.1.1.10", "RSA-PSS"),
    ("1.3.132.0.34", "P-384"),
    ("1.3.132.0.35", "P-521"),
    ("1.3.132.0.33", "P-224"),
    ("1.3.132.0.10", "secp256k1"),
    ("1.3.36.3.3.2.8.1.1.7", "brainpoolP256r1"),
];

/// Why a file is no key that a device can trust. Each message says what was expected, what came, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum CloudKeyError {
    /// The file can't be read.
    #[error("expected a readable file with the cloud's public key; check its path and permissions")]
    Unreadable {
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Nothing in it.
    #[error("expected a public key or certificate, got an empty file; export the key again")]
    Empty,
    /// Too much in it.
    #[error(
        "expected a public key or certificate of at most {FILE_LENGTH_MAX} bytes, got a larger file; give the key's own file"
    )]
    TooBig,
    /// A private key: it must not be here at all.
    #[error(
        "expected a public key, got a private key ({kind}); a station never holds the cloud's private key: take the file off this machine, give its public half (`openssl pkey -in FILE -pubout`), and have the key replaced if others could read it"
    )]
    PrivateKey {
        /// Its format.
        kind: &'static str,
    },
    /// A format that holds no single public key, or none that is read here.
    #[error("expected a public key (SPKI) or X.509 certificate, PEM or DER, got {got}; {next}")]
    Format {
        /// What it looks like.
        got: String,
        /// What to do.
        next: &'static str,
    },
    /// More than one PEM block.
    #[error(
        "expected one key or certificate, got {got} PEM blocks; give the one that devices shall trust in a file of its own"
    )]
    Several {
        /// How many.
        got: usize,
    },
    /// The PEM armour is broken.
    #[error("expected a whole PEM block, got one that is cut off or damaged; copy the file again")]
    Armour,
    /// The DER ends too early.
    #[error("expected {expected} bytes of DER, got {got}: the file is cut off; copy it again")]
    Truncated {
        /// The length that the first bytes state.
        expected: usize,
        /// The length of the file.
        got: usize,
    },
    /// Something follows.
    #[error("expected nothing after the key, got {got} more bytes; give a file with the key alone")]
    Trailing {
        /// How many bytes.
        got: usize,
    },
    /// It is DER, but not a key or certificate.
    #[error(
        "expected a public key (SPKI) or X.509 certificate, got other or damaged DER; export the key again (`openssl pkey -pubin -outform DER`)"
    )]
    Structure {
        /// Why.
        #[source]
        source: der::Error,
    },
    /// Another algorithm.
    #[error("expected a P-256 or RSA key, got {got}; have the cloud use P-256")]
    Algorithm {
        /// The algorithm's name or number.
        got: String,
    },
    /// Another curve.
    #[error("expected the curve P-256 (prime256v1), got {got}; have the cloud use P-256")]
    Curve {
        /// The curve's name or number.
        got: String,
    },
    /// A P-256 point in another writing.
    #[error(
        "expected an uncompressed point of 65 bytes, got {got} bytes; convert it (`openssl ec -pubin -conv_form uncompressed`)"
    )]
    PointForm {
        /// The length of what stands there.
        got: usize,
    },
    /// A P-256 point that is none.
    #[error(
        "expected a point on the curve P-256, got one that is not on it; the key is damaged or hostile: export it again"
    )]
    PointInvalid,
    /// A short modulus.
    #[error(
        "expected an RSA modulus of at least 2048 bits, got {got}; have the cloud make a longer key"
    )]
    ModulusShort {
        /// Its length in bits.
        got: usize,
    },
    /// Longer than a record holds.
    #[error(
        "expected a key of at most {CLOUD_KEY_LENGTH_MAX} bytes (RSA-4096), got {got}; have the cloud make a shorter key"
    )]
    TooLong {
        /// The length of the SPKI in bytes.
        got: usize,
    },
    /// A modulus that is no product of two large primes.
    #[error(
        "expected an RSA modulus of two large primes, got one that {divisor} divides; the key is damaged or hostile: have it replaced"
    )]
    ModulusWeak {
        /// A small divisor.
        divisor: u32,
    },
    /// A bad public exponent.
    #[error(
        "expected an odd RSA exponent from 65537 to 4294967295, got {got}; have the cloud make a key with 65537"
    )]
    Exponent {
        /// What stands there.
        got: String,
    },
}

/// Reads a key or certificate, PEM or DER.
pub(super) fn parse(content: &[u8]) -> Result<CloudKey, CloudKeyError> {
    if content.len() as u64 > FILE_LENGTH_MAX {
        return Err(CloudKeyError::TooBig);
    }
    if content.iter().all(u8::is_ascii_whitespace) {
        return Err(CloudKeyError::Empty);
    }
    if let Some(kind) = private::find(content) {
        return Err(CloudKeyError::PrivateKey { kind });
    }
    match armoured(content)? {
        Some(Armoured { label, der }) => match label.as_str() {
            "PUBLIC KEY" => from_spki_der(&der),
            "CERTIFICATE" | "X509 CERTIFICATE" => from_certificate_der(&der),
            other => Err(wrong_label(other)),
        },
        None => from_der(content),
    }
}

/// A PEM block.
struct Armoured {
    label: String,
    der: Vec<u8>,
}

/// The only PEM block in the text; `None` where there is no trace of one. Text around it is allowed (RFC 7468, 2).
fn armoured(content: &[u8]) -> Result<Option<Armoured>, CloudKeyError> {
    let Ok(text) = std::str::from_utf8(content) else {
        return Ok(None);
    };
    let Some(begin) = text.find("-----BEGIN ") else {
        return Ok(None);
    };
    let blocks = text.matches("-----BEGIN ").count();
    if blocks != 1 {
        return Err(CloudKeyError::Several { got: blocks });
    }
    let rest = text.get(begin..).unwrap_or_default();
    let end = rest.find("-----END ").ok_or(CloudKeyError::Armour)?;
    let footer = rest.get(end..).unwrap_or_default();
    let length = end + footer.find(['\r', '\n']).unwrap_or(footer.len());
    let block = rest.get(..length).unwrap_or_default().trim_end();
    let (label, der) = der::pem::decode_vec(block.as_bytes()).map_err(|_| CloudKeyError::Armour)?;
    Ok(Some(Armoured {
        label: label.to_owned(),
        der,
    }))
}

fn wrong_label(label: &str) -> CloudKeyError {
    let next = match label {
        "RSA PUBLIC KEY" => "convert it (`openssl rsa -RSAPublicKey_in -in FILE -pubout`)",
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => {
            "take the public key out of it (`openssl req -in FILE -pubkey -noout`)"
        }
        "PKCS7" | "CMS" => "take the certificate out of it (`openssl pkcs7 -in FILE -print_certs`)",
        _ => "export the cloud's public key (`openssl pkey -in FILE -pubout`)",
    };
    CloudKeyError::Format {
        got: format!("a PEM block \"{}\"", label.escape_debug()),
        next,
    }
}

/// DER: an SPKI begins with SEQUENCE { SEQUENCE { OBJECT IDENTIFIER …, a certificate with SEQUENCE { SEQUENCE { \[0\] or INTEGER ….
fn from_der(whole: &[u8]) -> Result<CloudKey, CloudKeyError> {
    let Some(outer) = Element::first(whole).filter(|outer| outer.tag == 0x30) else {
        return Err(no_der(whole));
    };
    if outer.total_length > whole.len() {
        return Err(CloudKeyError::Truncated {
            expected: outer.total_length,
            got: whole.len(),
        });
    }
    if outer.total_length < whole.len() {
        return Err(CloudKeyError::Trailing {
            got: whole.len() - outer.total_length,
        });
    }
    match Element::first(outer.content) {
        Some(first) if first.tag == 0x30 && matches!(first.content.first(), Some(0xa0 | 0x02)) => {
            from_certificate_der(whole)
        }
        Some(first) if first.tag == 0x02 => Err(CloudKeyError::Format {
            got: "a bare RSA public key (PKCS #1)".to_owned(),
            next: "convert it (`openssl rsa -RSAPublicKey_in -inform DER -in FILE -pubout`)",
        }),
        _ => from_spki_der(whole),
    }
}

/// What people hand over that is neither PEM nor DER.
fn no_der(content: &[u8]) -> CloudKeyError {
    let text = String::from_utf8_lossy(content);
    let text = text.trim_start();
    let export = "export the cloud's public key (`openssl pkey -in FILE -pubout`)";
    let (got, next) = if text.starts_with("ssh-") || text.starts_with("ecdsa-sha2-") {
        (
            "an OpenSSH public key",
            "convert it (`ssh-keygen -e -m PKCS8 -f FILE`)",
        )
    } else if text.starts_with('{') {
        ("JSON (a JWK?)", export)
    } else if text.starts_with("-----") {
        return CloudKeyError::Armour;
    } else if text
        .chars()
        .all(|found| found.is_ascii_graphic() || found.is_ascii_whitespace())
    {
        ("text that is no key", export)
    } else {
        ("bytes that are no key", export)
    };
    CloudKeyError::Format {
        got: got.to_owned(),
        next,
    }
}

/// A certificate is only the carrier of its key: who signed it, and until when, says nothing to a device that pins the key.
fn from_certificate_der(der: &[u8]) -> Result<CloudKey, CloudKeyError> {
    let certificate =
        Certificate::from_der(der).map_err(|source| CloudKeyError::Structure { source })?;
    let spki = certificate
        .tbs_certificate()
        .subject_public_key_info()
        .to_der()
        .map_err(|source| CloudKeyError::Structure { source })?;
    from_spki_der(&spki)
}

fn from_spki_der(der: &[u8]) -> Result<CloudKey, CloudKeyError> {
    let structure = |source| CloudKeyError::Structure { source };
    let info = SubjectPublicKeyInfoOwned::from_der(der).map_err(structure)?;
    let spki = info.to_der().map_err(structure)?;
    let key = info.subject_public_key.as_bytes().unwrap_or_default();
    let kind = if info.algorithm.oid == EC_PUBLIC_KEY {
        check_curve(info.algorithm.parameters.as_ref())?;
        check_point(key)?;
        CloudKeyKind::P256
    } else if info.algorithm.oid == RSA_ENCRYPTION {
        CloudKeyKind::Rsa {
            bits: rsa::check(key)?,
        }
    } else {
        return Err(CloudKeyError::Algorithm {
            got: name_of(&info.algorithm.oid.to_string()),
        });
    };
    if spki.len() > CLOUD_KEY_LENGTH_MAX {
        return Err(CloudKeyError::TooLong { got: spki.len() });
    }
    Ok(CloudKey { spki, kind })
}

fn check_curve(parameters: Option<&der::Any>) -> Result<(), CloudKeyError> {
    let Some(parameters) = parameters else {
        return Err(CloudKeyError::Curve {
            got: "none".to_owned(),
        });
    };
    match parameters.decode_as::<ObjectIdentifier>() {
        Ok(curve) if curve == P256_CURVE => Ok(()),
        Ok(curve) => Err(CloudKeyError::Curve {
            got: name_of(&curve.to_string()),
        }),
        // Explicit parameters could describe a curve that only looks like P-256 (CVE-2020-0601).
        Err(_) => Err(CloudKeyError::Curve {
            got: "explicit parameters".to_owned(),
        }),
    }
}

fn check_point(point: &[u8]) -> Result<(), CloudKeyError> {
    if point.len() != 65 || point.first() != Some(&4) {
        return Err(CloudKeyError::PointForm { got: point.len() });
    }
    p256::PublicKey::from_sec1_bytes(point)
        .map(|_| ())
        .map_err(|_| CloudKeyError::PointInvalid)
}

fn name_of(number: &str) -> String {
    KNOWN_NAMES
        .iter()
        .find(|(known, _)| *known == number)
        .map_or_else(
            || format!("object identifier {number}"),
            |(_, name)| (*name).to_owned(),
        )
}
