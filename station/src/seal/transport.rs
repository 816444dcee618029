//! How the content-encryption key travels to the recipient: encrypted to his RSA key, or wrapped under a key agreed with his P-256 key.

use ansi_x963_kdf::derive_key_into;
use aws_lc_rs::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap as _};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use cms::content_info::CmsVersion;
use cms::enveloped_data::{
    KeyAgreeRecipientIdentifier, KeyAgreeRecipientInfo, KeyTransRecipientInfo,
    OriginatorIdentifierOrKey, OriginatorPublicKey, RecipientEncryptedKey, RecipientIdentifier,
    RecipientInfo, RecipientKeyIdentifier,
};
use rsa::pkcs1::RsaOaepParamsRef;
use sha2::Sha256;
use x509_cert::der::asn1::{BitString, ObjectIdentifier, OctetString};
use x509_cert::der::{Any, AnyRef, Encode as _, Tag};
use x509_cert::ext::pkix::SubjectKeyIdentifier;
use x509_cert::spki::{AlgorithmIdentifier, AlgorithmIdentifierOwned};
use zeroize::Zeroizing;

use super::envelope::{context, element};
use super::{KEY_LENGTH, Recipient, SealError};
use crate::cloud_key::CloudKeyKind;

/// `id-RSAES-OAEP` (RFC 8017, A.2.1).
const RSAES_OAEP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.7");
/// `id-mgf1` (RFC 8017, A.2.1).
const MGF1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.8");
/// `id-sha256` (RFC 8017, B.1).
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
/// `id-ecPublicKey` (RFC 5480, 2.1.1).
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// `dhSinglePass-stdDH-sha256kdf-scheme` (RFC 5753, 7.1.4).
const ECDH_SHA256_KDF: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.1.11.1");
/// `id-aes256-wrap` (RFC 3565, 2.3.2).
const AES_256_WRAP: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.45");

/// The `suppPubInfo` of RFC 5753, 7.2: the length of the key-encryption key in bits.
const KEY_LENGTH_BITS: [u8; 4] = 256_u32.to_be_bytes();

/// The length of a wrapped key, in bytes (RFC 3394, 2.2.1: eight more than the key).
const WRAPPED_LENGTH: usize = KEY_LENGTH + 8;

/// The key for this recipient.
pub(super) fn recipient_info(
    recipient: &Recipient,
    key: &[u8; KEY_LENGTH],
) -> Result<RecipientInfo, SealError> {
    match recipient.kind() {
        CloudKeyKind::Rsa { .. } => transported(recipient, key).map(RecipientInfo::Ktri),
        CloudKeyKind::P256 => agreed(recipient, key).map(RecipientInfo::Kari),
    }
}

fn identifier(recipient: &Recipient) -> Result<SubjectKeyIdentifier, SealError> {
    Ok(SubjectKeyIdentifier(OctetString::new(
        recipient.key_identifier()?,
    )?))
}

fn transported(
    recipient: &Recipient,
    key: &[u8; KEY_LENGTH],
) -> Result<KeyTransRecipientInfo, SealError> {
    let public_key = PublicEncryptingKey::from_der(recipient.spki())
        .map_err(|_| SealError::Library {
            doing: "take the recipient's RSA key",
        })
        .and_then(|key| {
            OaepPublicEncryptingKey::new(key)
                .map_err(SealError::library("take the recipient's RSA key"))
        })?;
    let mut encrypted = vec![0; public_key.ciphertext_size()];
    let encrypted = public_key
        .encrypt(&OAEP_SHA256_MGF1SHA256, key, &mut encrypted, None)
        .map_err(SealError::library("encrypt with RSAES-OAEP"))?;
    Ok(KeyTransRecipientInfo {
        // RFC 5652, 6.2.1: 2 where the recipient is named by his key's identifier.
        version: CmsVersion::V2,
        rid: RecipientIdentifier::SubjectKeyIdentifier(identifier(recipient)?),
        key_enc_alg: oaep()?,
        enc_key: OctetString::new(&*encrypted)?,
    })
}

/// RSAES-OAEP with SHA-256, MGF1 with SHA-256, and an empty label.
fn oaep() -> Result<AlgorithmIdentifierOwned, SealError> {
    let sha256 = || AlgorithmIdentifier {
        oid: SHA256,
        parameters: Some(AnyRef::NULL),
    };
    let parameters = RsaOaepParamsRef {
        hash: sha256(),
        mask_gen: AlgorithmIdentifier {
            oid: MGF1,
            parameters: Some(sha256()),
        },
        p_source: RsaOaepParamsRef::default().p_source,
    };
    Ok(AlgorithmIdentifierOwned {
        oid: RSAES_OAEP,
        parameters: Some(Any::encode_from(&parameters)?),
    })
}

fn agreed(
    recipient: &Recipient,
    key: &[u8; KEY_LENGTH],
) -> Result<KeyAgreeRecipientInfo, SealError> {
    let wrap = AlgorithmIdentifierOwned {
        oid: AES_256_WRAP,
        parameters: None,
    };
    let ephemeral = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new())
        .map_err(SealError::library("make an ephemeral key"))?;
    let ephemeral_public = ephemeral
        .compute_public_key()
        .map_err(SealError::library("compute an ephemeral public key"))?;
    let shared_info = shared_info(&wrap)?;
    let mut kek = Zeroizing::new([0; KEY_LENGTH]);
    agree_ephemeral(
        ephemeral,
        UnparsedPublicKey::new(&ECDH_P256, recipient.key_bits()?),
        SealError::Library {
            doing: "agree on a key with the recipient's P-256 key",
        },
        |secret| {
            derive_key_into::<Sha256>(secret, &shared_info, &mut kek[..]).map_err(|_| {
                SealError::Library {
                    doing: "derive a key-encryption key",
                }
            })
        },
    )?;
    let mut wrapped = [0; WRAPPED_LENGTH];
    AesKek::new(&AES_256, &kek[..])
        .and_then(|kek| kek.wrap(key, &mut wrapped).map(|_| ()))
        .map_err(SealError::library("wrap a key with AES-256"))?;
    Ok(KeyAgreeRecipientInfo {
        version: CmsVersion::V3,
        originator: OriginatorIdentifierOrKey::OriginatorKey(OriginatorPublicKey {
            // RFC 5753, 3.1.1: without parameters, for the curve is the recipient's.
            algorithm: AlgorithmIdentifierOwned {
                oid: EC_PUBLIC_KEY,
                parameters: None,
            },
            public_key: BitString::from_bytes(ephemeral_public.as_ref())?,
        }),
        ukm: None,
        key_enc_alg: AlgorithmIdentifierOwned {
            oid: ECDH_SHA256_KDF,
            parameters: Some(Any::encode_from(&wrap)?),
        },
        recipient_enc_keys: vec![RecipientEncryptedKey {
            rid: KeyAgreeRecipientIdentifier::RKeyId(RecipientKeyIdentifier {
                subject_key_identifier: identifier(recipient)?,
                date: None,
                other: None,
            }),
            enc_key: OctetString::new(wrapped)?,
        }],
    })
}

/// `ECC-CMS-SharedInfo` (RFC 5753, 7.2): what the key-encryption key is for, and its length in `[2] EXPLICIT`.
fn shared_info(wrap: &AlgorithmIdentifierOwned) -> Result<Vec<u8>, SealError> {
    let length = element(Tag::OctetString, &[&KEY_LENGTH_BITS])?;
    let length = element(context(2), &[&length])?;
    element(Tag::Sequence, &[&wrap.to_der()?, &length])
}
