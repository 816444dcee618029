//! Checkpoints (C2SP `tlog-checkpoint`): a tree head as the text of a signed note.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::{AuditError, CheckpointSigner, Hash, NoteSignature, SignedNote, VerifierKey};

/// A tree head. It says nothing until it stands in a note that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name, the same as its key's.
    pub origin: String,
    /// How many leaves the tree has.
    pub size: u64,
    /// Its root.
    pub root: Hash,
}

impl Checkpoint {
    /// Reads the text of a note. Extension lines after the root are allowed by the format and ignored.
    ///
    /// # Errors
    /// [`AuditError::Format`] where it is no checkpoint.
    pub fn parse(text: &str) -> Result<Self, AuditError> {
        let refuse = || AuditError::format("a checkpoint: origin, size, base64 root", text);
        let mut lines = text.strip_suffix('\n').ok_or_else(refuse)?.split('\n');
        let origin = lines.next().filter(|line| !line.is_empty());
        let size = lines.next().ok_or_else(refuse)?;
        let root = lines.next().ok_or_else(refuse)?;
        let root = BASE64.decode(root).map_err(|_| refuse())?;
        let parsed: u64 = size.parse().map_err(|_| refuse())?;
        if parsed.to_string() != size || lines.any(str::is_empty) {
            return Err(refuse());
        }
        Ok(Self {
            origin: origin.ok_or_else(refuse)?.to_owned(),
            size: parsed,
            root: root.try_into().map_err(|_| refuse())?,
        })
    }

    /// The text that is signed.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "{}\n{}\n{}\n",
            self.origin,
            self.size,
            BASE64.encode(self.root)
        )
    }

    /// Signs the checkpoint under `key`'s name and gives the note.
    ///
    /// # Errors
    /// Whatever the signer returns.
    pub async fn sign(
        &self,
        key: &VerifierKey,
        signer: &CheckpointSigner,
    ) -> Result<SignedNote, AuditError> {
        let text = self.text();
        let signature = signer.sign(text.as_bytes()).await?;
        Ok(SignedNote {
            text,
            signatures: vec![NoteSignature::by(key, signature)],
        })
    }

    /// Reads a note, checks the signature by `key` and that the log is the key's.
    ///
    /// # Errors
    /// [`AuditError`] where any of it doesn't hold.
    pub fn verify(note: &str, key: &VerifierKey) -> Result<Self, AuditError> {
        let note = SignedNote::parse(note)?;
        note.verify(key)?;
        let checkpoint = Self::parse(&note.text)?;
        checkpoint.check_origin(key)?;
        Ok(checkpoint)
    }

    /// Reads a note of a log that has several keys, as during a roll-over: at least one of them signed, and the log is that key's.
    ///
    /// # Errors
    /// [`AuditError::NotSignedByAny`]; [`AuditError::BadSignature`] where a line by any of the keys doesn't verify, whatever the others say;
    /// [`AuditError::OtherLog`] or [`AuditError::Format`].
    pub fn verify_any(note: &str, keys: &[VerifierKey]) -> Result<Self, AuditError> {
        let note = SignedNote::parse(note)?;
        Self::verified_by(&note, keys).map(|(checkpoint, _)| checkpoint)
    }

    /// As [`verify_any`](Self::verify_any), with the first of the keys that signed.
    pub(crate) fn verified_by<'k>(
        note: &SignedNote,
        keys: &'k [VerifierKey],
    ) -> Result<(Self, &'k VerifierKey), AuditError> {
        let mut signed = Vec::new();
        for key in keys {
            if !key.verified_lines(note)?.is_empty() {
                signed.push(key);
            }
        }
        let Some(first) = signed.first() else {
            let name = |key: &VerifierKey| format!("{}+{:08x}", key.name(), key.key_id());
            return Err(AuditError::NotSignedByAny {
                keys: keys.iter().map(name).collect(),
            });
        };
        let checkpoint = Self::parse(&note.text)?;
        match signed.iter().find(|key| key.name() == checkpoint.origin) {
            Some(key) => Ok((checkpoint, key)),
            None => checkpoint
                .check_origin(first)
                .map(|()| (checkpoint, *first)),
        }
    }

    /// Reads a note that every one of `keys` has signed: those that are in force.
    ///
    /// # Errors
    /// [`AuditError`] where any of it doesn't hold, or there is no key.
    pub fn verify_all(note: &str, keys: &[VerifierKey]) -> Result<Self, AuditError> {
        let mut checkpoint = Self::verify_any(note, keys)?;
        for key in keys {
            checkpoint = Self::verify(note, key)?;
        }
        Ok(checkpoint)
    }

    fn check_origin(&self, key: &VerifierKey) -> Result<(), AuditError> {
        if self.origin == key.name() {
            return Ok(());
        }
        Err(AuditError::OtherLog {
            expected: key.name().to_owned(),
            got: self.origin.clone(),
        })
    }
}
