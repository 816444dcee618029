//! Keys that verify lines of signed notes: what log keys and witness keys have in common (C2SP `signed-note`, "Verifier keys").

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};

use super::{AuditError, NoteSignature, SignedNote};

/// What a key's signature says: the signature type identifier bytes of C2SP `signed-note`. Only Ed25519 ones are known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum SignatureType {
    /// Ed25519 over the text of the note: a log's signature.
    Log = 0x01,
    /// Ed25519 over a time and the text: a witness's cosignature.
    Cosignature = 0x04,
}

impl SignatureType {
    /// What a verifier key of this type looks like, for messages.
    const fn expected(self) -> &'static str {
        match self {
            Self::Log => "a verifier key NAME+KEYID+KEY of type Ed25519 (0x01)",
            Self::Cosignature => {
                "a witness's verifier key NAME+KEYID+KEY of type Ed25519 cosignature (0x04)"
            }
        }
    }
}

/// An Ed25519 public key, its name and what it signs.
///
/// Holding one proves that the name can stand in a signature line and the key is a point of the curve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NamedKey {
    name: String,
    kind: SignatureType,
    key: VerifyingKey,
}

impl NamedKey {
    /// A key under a name.
    ///
    /// # Errors
    /// [`AuditError::Format`] where the name can't stand in a note or the bytes are no key.
    pub(super) fn new(
        kind: SignatureType,
        name: &str,
        public_key: &[u8; 32],
    ) -> Result<Self, AuditError> {
        if !is_key_name(name) {
            return Err(AuditError::format(
                "a key name without spaces, control characters and +",
                name,
            ));
        }
        let key = VerifyingKey::from_bytes(public_key)
            .map_err(|_| AuditError::format("an Ed25519 public key", &hex::encode(public_key)))?;
        Ok(Self {
            name: name.to_owned(),
            kind,
            key,
        })
    }

    /// Reads `name+hex(key id)+base64(type ‖ public key)`.
    ///
    /// # Errors
    /// [`AuditError::Format`] where the text is anything else, or the key id isn't the key's.
    pub(super) fn parse(kind: SignatureType, text: &str) -> Result<Self, AuditError> {
        let refuse = || AuditError::format(kind.expected(), text);
        let (name, rest) = text.split_once('+').ok_or_else(refuse)?;
        let (id, key) = rest.split_once('+').ok_or_else(refuse)?;
        let key = BASE64.decode(key).map_err(|_| refuse())?;
        let (&found, key) = key.split_first().ok_or_else(refuse)?;
        let key: &[u8; 32] = key.try_into().map_err(|_| refuse())?;
        let parsed = Self::new(kind, name, key)?;
        if found != kind as u8 {
            return Err(refuse());
        }
        let expected = format!("{:08x}", parsed.key_id());
        if id == expected {
            Ok(parsed)
        } else {
            Err(AuditError::KeyId {
                expected,
                got: id.chars().take(64).collect(),
            })
        }
    }

    /// The name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The public key without its name: two verifier keys that wrap the same one are duplicates (C2SP `tlog-policy`).
    pub(super) fn public_key(&self) -> [u8; 32] {
        self.key.to_bytes()
    }

    /// First four bytes of SHA-256(name ‖ 0x0A ‖ type ‖ public key).
    pub(super) fn key_id(&self) -> u32 {
        let mut hash = Sha256::new();
        hash.update(&self.name);
        hash.update([b'\n', self.kind as u8]);
        hash.update(self.key.as_bytes());
        let digest = hash.finalize();
        u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
    }

    /// The lines of a note that say they are by this key. Each of them has to verify, or the note is malformed.
    pub(super) fn lines_in<'n>(
        &self,
        note: &'n SignedNote,
    ) -> impl Iterator<Item = &'n NoteSignature> + use<'n> {
        let (name, key_id) = (self.name.clone(), self.key_id());
        note.signatures
            .iter()
            .filter(move |line| line.key_id == key_id && line.name == name)
    }

    /// Checks an Ed25519 signature over a message.
    ///
    /// # Errors
    /// [`AuditError::BadSignature`].
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), AuditError> {
        Signature::from_slice(signature)
            .and_then(|signature| self.key.verify_strict(message, &signature))
            .map_err(|_| self.bad_signature())
    }

    /// The note has no line by this key.
    pub(super) fn not_signed(&self) -> AuditError {
        AuditError::NotSigned {
            name: self.name.clone(),
            key_id: self.key_id(),
        }
    }

    /// A line by this key does not verify.
    pub(super) fn bad_signature(&self) -> AuditError {
        AuditError::BadSignature {
            name: self.name.clone(),
            key_id: self.key_id(),
        }
    }
}

impl std::fmt::Display for NamedKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut key = vec![self.kind as u8];
        key.extend_from_slice(self.key.as_bytes());
        write!(
            formatter,
            "{}+{:08x}+{}",
            self.name,
            self.key_id(),
            BASE64.encode(key)
        )
    }
}

/// Whether a name can stand in a signature line: not empty, without Unicode spaces, `+` and ASCII control characters (C2SP `signed-note`,
/// "Format").
pub(super) fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c < ' ' || c == '+')
}
