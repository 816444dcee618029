//! A key in a token: made, found, and looked at.

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use super::connection::call;
use super::error::TokenError;

/// `CKA_EC_PARAMS` of edwards25519 as a printable string, which every version of PKCS #11 takes (PKCS #11 3.0, 2.3.5).
const EDWARDS25519_NAME: [u8; 14] = *b"\x13\x0cedwards25519";

/// The same as the object identifier of Ed25519, 1.3.101.112 (RFC 8410).
const ED25519_OID: [u8; 5] = [0x06, 0x03, 0x2b, 0x65, 0x70];

/// How a DER OCTET STRING of 32 bytes begins.
const OCTET_STRING_32: [u8; 2] = [0x04, 0x20];

/// What the token says of a key that may sign the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyFacts {
    pub(super) public_key: [u8; 32],
    /// It was made in the token and could never be read: `CKA_ALWAYS_SENSITIVE` and `CKA_NEVER_EXTRACTABLE`.
    pub(super) born_in_token: bool,
}

/// The one private key of that label, and what is known of it.
pub(super) fn find(session: &Session, label: &str) -> Result<(ObjectHandle, KeyFacts), TokenError> {
    let handles = labelled(session, ObjectClass::PRIVATE_KEY, label)?;
    let &[handle] = handles.as_slice() else {
        return Err(TokenError::KeyCount {
            label: label.to_owned(),
            count: handles.len(),
        });
    };
    let attributes = session
        .get_attributes(
            handle,
            &[
                AttributeType::KeyType,
                AttributeType::EcParams,
                AttributeType::Id,
                AttributeType::Sensitive,
                AttributeType::Extractable,
                AttributeType::AlwaysSensitive,
                AttributeType::NeverExtractable,
            ],
        )
        .map_err(call("its key was looked at"))?;
    check_kind(label, &attributes)?;
    check_secrecy(label, &attributes)?;
    let has = |attribute| attributes.contains(&attribute);
    Ok((
        handle,
        KeyFacts {
            public_key: public_key(session, label, &attributes)?,
            born_in_token: has(Attribute::AlwaysSensitive(true))
                && has(Attribute::NeverExtractable(true)),
        },
    ))
}

fn labelled(
    session: &Session,
    class: ObjectClass,
    label: &str,
) -> Result<Vec<ObjectHandle>, TokenError> {
    session
        .find_objects(&[Attribute::Class(class), Attribute::Label(label.into())])
        .map_err(call("its keys were listed"))
}

fn check_kind(label: &str, attributes: &[Attribute]) -> Result<(), TokenError> {
    let refuse = |got: String| TokenError::KeyKind {
        label: label.to_owned(),
        got,
    };
    if !attributes.contains(&Attribute::KeyType(KeyType::EC_EDWARDS)) {
        let kind = attributes.iter().find_map(|attribute| match attribute {
            Attribute::KeyType(kind) => Some(kind.to_string()),
            _ => None,
        });
        return Err(refuse(kind.unwrap_or_else(|| "no key type".to_owned())));
    }
    let known = [&EDWARDS25519_NAME[..], &ED25519_OID[..]];
    match parameters(attributes) {
        Some(curve) if known.contains(&curve) => Ok(()),
        Some(other) => Err(refuse(format!("the curve {}", hex::encode(other)))),
        None => Err(refuse("an Edwards key of no curve".to_owned())),
    }
}

fn parameters(attributes: &[Attribute]) -> Option<&[u8]> {
    attributes.iter().find_map(|attribute| match attribute {
        Attribute::EcParams(parameters) => Some(parameters.as_slice()),
        _ => None,
    })
}

fn check_secrecy(label: &str, attributes: &[Attribute]) -> Result<(), TokenError> {
    let exposed = |expected, got| {
        Err(TokenError::KeyExposed {
            label: label.to_owned(),
            expected,
            got,
        })
    };
    if !attributes.contains(&Attribute::Sensitive(true)) {
        return exposed("CKA_SENSITIVE true", "false");
    }
    if !attributes.contains(&Attribute::Extractable(false)) {
        return exposed("CKA_EXTRACTABLE false", "true");
    }
    Ok(())
}

/// The public half: the public key object with the private key's id and label.
fn public_key(
    session: &Session,
    label: &str,
    private: &[Attribute],
) -> Result<[u8; 32], TokenError> {
    let mut template = vec![
        Attribute::Class(ObjectClass::PUBLIC_KEY),
        Attribute::Label(label.into()),
    ];
    template.extend(private.iter().find_map(|attribute| match attribute {
        Attribute::Id(id) => Some(Attribute::Id(id.clone())),
        _ => None,
    }));
    let handles = session
        .find_objects(&template)
        .map_err(call("its public keys were listed"))?;
    let missing = || TokenError::NoPublicKey {
        label: label.to_owned(),
        count: handles.len(),
    };
    let &[handle] = handles.as_slice() else {
        return Err(missing());
    };
    let point = session
        .get_attributes(handle, &[AttributeType::EcPoint])
        .map_err(call("its public key was read"))?;
    let point = point.into_iter().find_map(|attribute| match attribute {
        Attribute::EcPoint(point) => Some(point),
        _ => None,
    });
    // PKCS #11 3.0 has the bare 32 bytes, earlier versions and SoftHSM wrap them in a DER OCTET STRING.
    point
        .as_deref()
        .map(|point| point.strip_prefix(&OCTET_STRING_32).unwrap_or(point))
        .and_then(|point| point.try_into().ok())
        .ok_or_else(missing)
}

/// Makes a key pair: the private half is the token's for ever.
pub(super) fn generate(session: &Session, label: &str) -> Result<(), TokenError> {
    if !labelled(session, ObjectClass::PRIVATE_KEY, label)?.is_empty() {
        return Err(TokenError::KeyExists {
            label: label.to_owned(),
        });
    }
    let id: [u8; 16] = rand::random();
    let both = [
        Attribute::Token(true),
        Attribute::Label(label.into()),
        Attribute::Id(id.to_vec()),
    ];
    let mut public = vec![
        Attribute::Private(false),
        Attribute::Verify(true),
        Attribute::Encrypt(false),
        Attribute::Wrap(false),
        Attribute::EcParams(EDWARDS25519_NAME.to_vec()),
    ];
    let mut private = vec![
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
        Attribute::Decrypt(false),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
    ];
    public.extend(both.clone());
    private.extend(both);
    session
        .generate_key_pair(&Mechanism::EccEdwardsKeyPairGen, &public, &private)
        .map(|_| ())
        .map_err(call("making a key pair"))
}
