//! Signed notes (C2SP `signed-note`): a text, a blank line, and a line for each signature.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};

use super::AuditError;

/// The signature type of Ed25519 in C2SP `signed-note`.
const ED25519: u8 = 0x01;

/// The longest note that is read, in bytes: a checkpoint with some hundred cosignatures.
const NOTE_LENGTH_MAX: usize = 65_536;

/// What begins a signature line: U+2014 and a space.
const SIGNATURE_PREFIX: &str = "\u{2014} ";

/// A public key and its name. Holding one proves that the name can stand in a signature line and the key is a point of the curve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    key: VerifyingKey,
}

impl VerifierKey {
    /// An Ed25519 key under a name.
    ///
    /// # Errors
    /// [`AuditError::Format`] where the name is empty or has a space or `+`, or the bytes are no key.
    pub fn new(name: &str, public_key: &[u8; 32]) -> Result<Self, AuditError> {
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '+') {
            return Err(AuditError::format("a key name without spaces and +", name));
        }
        let key = VerifyingKey::from_bytes(public_key)
            .map_err(|_| AuditError::format("an Ed25519 public key", &hex::encode(public_key)))?;
        Ok(Self {
            name: name.to_owned(),
            key,
        })
    }

    /// Reads `name+hex(key id)+base64(type ‖ public key)`.
    ///
    /// # Errors
    /// [`AuditError::Format`] where the text is anything else, or the key id isn't the key's.
    pub fn parse(text: &str) -> Result<Self, AuditError> {
        let expected = "a verifier key NAME+KEYID+KEY of type Ed25519";
        let refuse = || AuditError::format(expected, text);
        let (name, rest) = text.split_once('+').ok_or_else(refuse)?;
        let (id, key) = rest.split_once('+').ok_or_else(refuse)?;
        let key = BASE64.decode(key).map_err(|_| refuse())?;
        let (&kind, key) = key.split_first().ok_or_else(refuse)?;
        let key: &[u8; 32] = key.try_into().map_err(|_| refuse())?;
        let parsed = Self::new(name, key)?;
        if kind != ED25519 || id != format!("{:08x}", parsed.key_id()) {
            return Err(refuse());
        }
        Ok(parsed)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public key, 32 bytes.
    #[must_use]
    pub fn public_key(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// First four bytes of SHA-256(name ‖ 0x0A ‖ type ‖ public key).
    #[must_use]
    pub fn key_id(&self) -> u32 {
        let mut hash = Sha256::new();
        hash.update(&self.name);
        hash.update([b'\n', ED25519]);
        hash.update(self.key.as_bytes());
        let digest = hash.finalize();
        u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
    }
}

impl VerifierKey {
    /// NAME+KEYID of each, for an error.
    pub(super) fn list(keys: &[Self]) -> String {
        let names = keys
            .iter()
            .map(|key| format!("{}+{:08x}", key.name, key.key_id()));
        let names: Vec<_> = names.collect();
        if names.is_empty() {
            return "no key".to_owned();
        }
        names.join(", ")
    }
}

impl std::fmt::Display for VerifierKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut key = vec![ED25519];
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

/// One signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    /// The key's name.
    pub name: String,
    /// The key's id.
    pub key_id: u32,
    /// The signature, in the form that the key's type says.
    pub signature: Vec<u8>,
}

impl NoteSignature {
    /// The line of an Ed25519 key.
    pub(super) fn by(key: &VerifierKey, signature: [u8; 64]) -> Self {
        Self {
            name: key.name.clone(),
            key_id: key.key_id(),
            signature: signature.to_vec(),
        }
    }
}

/// A note: what was signed, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedNote {
    /// The text, with its last newline: these bytes were signed.
    pub text: String,
    /// The signatures. None was verified.
    pub signatures: Vec<NoteSignature>,
}

impl SignedNote {
    /// Reads a note.
    ///
    /// # Errors
    /// [`AuditError::Format`] where it is none.
    pub fn parse(note: &str) -> Result<Self, AuditError> {
        let expected = "a signed note: text, a blank line, signature lines";
        let refuse = || AuditError::format(expected, note);
        let control = |c: char| c.is_control() && c != '\n';
        if note.len() > NOTE_LENGTH_MAX || note.contains(control) {
            return Err(refuse());
        }
        let blank = note.rfind("\n\n").ok_or_else(refuse)?;
        let (text, lines) = (&note[..=blank], &note[blank + 2..]);
        let lines = lines.strip_suffix('\n').ok_or_else(refuse)?;
        let signatures = lines
            .split('\n')
            .map(parse_signature)
            .collect::<Option<Vec<_>>>()
            .ok_or_else(refuse)?;
        Ok(Self {
            text: text.to_owned(),
            signatures,
        })
    }

    /// Checks the signature by `key`; those by other keys are ignored.
    ///
    /// # Errors
    /// [`AuditError::NotSigned`] or [`AuditError::BadSignature`].
    pub fn verify(&self, key: &VerifierKey) -> Result<(), AuditError> {
        let (name, key_id) = (key.name.clone(), key.key_id());
        let Some(found) = self
            .signatures
            .iter()
            .find(|line| line.name == name && line.key_id == key_id)
        else {
            return Err(AuditError::NotSigned { name, key_id });
        };
        Signature::from_slice(&found.signature)
            .and_then(|signature| key.key.verify_strict(self.text.as_bytes(), &signature))
            .map_err(|_| AuditError::BadSignature { name, key_id })
    }
}

impl std::fmt::Display for SignedNote {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(formatter, "{}", self.text)?;
        for line in &self.signatures {
            let mut bytes = line.key_id.to_be_bytes().to_vec();
            bytes.extend_from_slice(&line.signature);
            writeln!(
                formatter,
                "{SIGNATURE_PREFIX}{} {}",
                line.name,
                BASE64.encode(bytes)
            )?;
        }
        Ok(())
    }
}

fn parse_signature(line: &str) -> Option<NoteSignature> {
    let (name, bytes) = line.strip_prefix(SIGNATURE_PREFIX)?.split_once(' ')?;
    if name.is_empty() || name.contains('+') {
        return None;
    }
    let bytes = BASE64.decode(bytes).ok()?;
    let (key_id, signature) = bytes.split_first_chunk::<4>()?;
    Some(NoteSignature {
        name: name.to_owned(),
        key_id: u32::from_be_bytes(*key_id),
        signature: signature.to_vec(),
    })
}
