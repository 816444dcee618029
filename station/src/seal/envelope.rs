//! The bytes around the encrypted content, which may be too large to be copied into a structure and out again.

use cms::content_info::CmsVersion;
use cms::enveloped_data::{RecipientInfo, RecipientInfos};
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Encode as _, Header, Length, Tag, TagNumber};

use super::SealError;

/// `id-ct-authEnvelopedData` (RFC 5083, 2.1).
const AUTH_ENVELOPED_DATA: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.23");
/// `id-data` (RFC 5652, 4).
const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
/// `id-aes256-GCM` (RFC 5084, 3.2).
const AES_256_GCM: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.46");

/// A constructed `[number]`.
pub(super) const fn context(number: u32) -> Tag {
    Tag::ContextSpecific {
        constructed: true,
        number: TagNumber(number),
    }
}

/// The header of an element whose content has `length` bytes.
fn header(tag: Tag, length: usize) -> Result<Vec<u8>, SealError> {
    Ok(Header::new(tag, Length::try_from(length)?).to_der()?)
}

/// An element whose content is these parts.
pub(super) fn element(tag: Tag, parts: &[&[u8]]) -> Result<Vec<u8>, SealError> {
    let mut bytes = header(tag, parts.iter().map(|part| part.len()).sum())?;
    for part in parts {
        bytes.extend_from_slice(part);
    }
    Ok(bytes)
}

/// What stands before and after an encrypted content of `length` bytes.
///
/// ```text
/// ContentInfo ::= SEQUENCE { authEnvelopedData, [0] EXPLICIT SEQUENCE {               RFC 5652, 3; RFC 5083, 2.1
///     version INTEGER 0, SET { RecipientInfo },
///     SEQUENCE { data, SEQUENCE { aes256-GCM, SEQUENCE { nonce, 16 } }, [0] IMPLICIT content },
///     mac OCTET STRING } }
/// ```
pub(super) fn around(
    length: usize,
    recipient: RecipientInfo,
    nonce: [u8; 12],
    tag: &[u8],
) -> Result<(Vec<u8>, Vec<u8>), SealError> {
    let version = CmsVersion::V0.to_der()?;
    let recipients = RecipientInfos::try_from(vec![recipient])?.to_der()?;
    let content_type = DATA.to_der()?;
    let algorithm = algorithm(nonce, tag.len())?;
    let content = header(
        Tag::ContextSpecific {
            constructed: false,
            number: TagNumber(0),
        },
        length,
    )?;
    let mac = element(Tag::OctetString, &[tag])?;

    let content_length = content_type.len() + algorithm.len() + content.len() + length;
    let content_info = header(Tag::Sequence, content_length)?;
    let enveloped_length =
        version.len() + recipients.len() + content_info.len() + content_length + mac.len();
    let enveloped = header(Tag::Sequence, enveloped_length)?;
    let explicit_length = enveloped.len() + enveloped_length;
    let explicit = header(context(0), explicit_length)?;
    let outer_type = AUTH_ENVELOPED_DATA.to_der()?;
    let outer = header(
        Tag::Sequence,
        outer_type.len() + explicit.len() + explicit_length,
    )?;
    let head = [
        outer,
        outer_type,
        explicit,
        enveloped,
        version,
        recipients,
        content_info,
        content_type,
        algorithm,
        content,
    ]
    .concat();
    Ok((head, mac))
}

/// AES-256-GCM with its `GCMParameters` (RFC 5084, 3.2): the nonce and the length of the tag.
fn algorithm(nonce: [u8; 12], tag_length: usize) -> Result<Vec<u8>, SealError> {
    let nonce = element(Tag::OctetString, &[&nonce])?;
    let tag_length = u8::try_from(tag_length)
        .map_err(|_| SealError::Library {
            doing: "give a tag of AES-256-GCM",
        })?
        .to_der()?;
    let parameters = element(Tag::Sequence, &[&nonce, &tag_length])?;
    element(Tag::Sequence, &[&AES_256_GCM.to_der()?, &parameters])
}
