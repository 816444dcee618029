//! Signed notes (C2SP `signed-note`): a text, a blank line, and a line for each signature.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use serde::{Deserialize, Serialize};

use super::AuditError;
use super::key::{NamedKey, SignatureType, is_key_name};

/// The longest note that is read, in bytes. Sixteen signatures, post-quantum ones of almost 5 kB among them, have to be accepted: 107 kB.
const NOTE_LENGTH_MAX: usize = 131_072;

/// The most signature lines that are read: two log keys and the cosignatures of every witness that a policy can name.
const SIGNATURES_MAX: usize = 128;

/// What begins a signature line: U+2014 and a space.
const SIGNATURE_PREFIX: &str = "\u{2014} ";

/// A log's public key and its name. Holding one proves that the name can stand in a signature line and the key is a point of the curve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct VerifierKey(NamedKey);

impl VerifierKey {
    /// An Ed25519 key under a name.
    ///
    /// # Errors
    /// [`AuditError::Format`] where the name can't stand in a note, or the bytes are no key.
    pub fn new(name: &str, public_key: &[u8; 32]) -> Result<Self, AuditError> {
        NamedKey::new(SignatureType::Log, name, public_key).map(Self)
    }

    /// Reads `name+hex(key id)+base64(type ‖ public key)`.
    ///
    /// # Errors
    /// [`AuditError::Format`] where the text is anything else, or the key id isn't the key's.
    pub fn parse(text: &str) -> Result<Self, AuditError> {
        NamedKey::parse(SignatureType::Log, text).map(Self)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// First four bytes of SHA-256(name ‖ 0x0A ‖ type ‖ public key).
    #[must_use]
    pub fn key_id(&self) -> u32 {
        self.0.key_id()
    }

    /// The key without its name, 32 bytes as RFC 8032 encodes it.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        self.0.public_key()
    }

    /// The lines of a note by this key, all of them verified; empty where it did not sign.
    ///
    /// # Errors
    /// [`AuditError::BadSignature`] where one of them doesn't verify: such a note is malformed.
    pub(crate) fn verified_lines<'n>(
        &self,
        note: &'n SignedNote,
    ) -> Result<Vec<&'n NoteSignature>, AuditError> {
        self.0
            .lines_in(note)
            .map(|line| {
                self.0
                    .verify(note.text.as_bytes(), &line.signature)
                    .map(|()| line)
            })
            .collect()
    }
}

impl std::fmt::Display for VerifierKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

impl From<VerifierKey> for String {
    fn from(key: VerifierKey) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for VerifierKey {
    type Error = AuditError;

    fn try_from(text: String) -> Result<Self, AuditError> {
        Self::parse(&text)
    }
}

/// One signature line. Displayed without its newline.
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
            name: key.name().to_owned(),
            key_id: key.key_id(),
            signature: signature.to_vec(),
        }
    }

    fn parse(line: &str) -> Option<Self> {
        let (name, bytes) = line.strip_prefix(SIGNATURE_PREFIX)?.split_once(' ')?;
        if !is_key_name(name) {
            return None;
        }
        let bytes = BASE64.decode(bytes).ok()?;
        let (key_id, signature) = bytes.split_first_chunk::<4>()?;
        // As other implementations do: a line that signs nothing is no signature.
        if signature.is_empty() {
            return None;
        }
        Some(Self {
            name: name.to_owned(),
            key_id: u32::from_be_bytes(*key_id),
            signature: signature.to_vec(),
        })
    }
}

impl std::fmt::Display for NoteSignature {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut bytes = self.key_id.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.signature);
        write!(
            formatter,
            "{SIGNATURE_PREFIX}{} {}",
            self.name,
            BASE64.encode(bytes)
        )
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
    /// Reads a note of at most 131,072 bytes with at most 128 signatures.
    ///
    /// # Errors
    /// [`AuditError::Format`] where it is none.
    pub fn parse(note: &str) -> Result<Self, AuditError> {
        let expected = "a signed note: text, a blank line, signature lines";
        let refuse = || AuditError::format(expected, note);
        let control = |c: char| c < ' ' && c != '\n';
        if note.len() > NOTE_LENGTH_MAX || note.contains(control) {
            return Err(refuse());
        }
        let blank = note.rfind("\n\n").ok_or_else(refuse)?;
        let (text, lines) = (&note[..=blank], &note[blank + 2..]);
        let lines = lines.strip_suffix('\n').ok_or_else(refuse)?;
        if lines.split('\n').count() > SIGNATURES_MAX {
            return Err(AuditError::format("at most 128 signatures in a note", note));
        }
        let signatures = lines
            .split('\n')
            .map(NoteSignature::parse)
            .collect::<Option<Vec<_>>>()
            .ok_or_else(refuse)?;
        Ok(Self {
            text: text.to_owned(),
            signatures,
        })
    }

    /// Checks the signatures by `key`; those by other keys are ignored.
    ///
    /// # Errors
    /// [`AuditError::NotSigned`], or [`AuditError::BadSignature`] where a line by the key doesn't verify.
    pub fn verify(&self, key: &VerifierKey) -> Result<(), AuditError> {
        if key.verified_lines(self)?.is_empty() {
            return Err(key.0.not_signed());
        }
        Ok(())
    }
}

impl std::fmt::Display for SignedNote {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(formatter, "{}", self.text)?;
        for line in &self.signatures {
            writeln!(formatter, "{line}")?;
        }
        Ok(())
    }
}
