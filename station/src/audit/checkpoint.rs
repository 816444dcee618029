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
        Self::parse(&note.text)?.of_origin(key)
    }

    /// Reads a note that at least one of `keys` has signed: those whom the reader knows. A line by one of them that does not verify is
    /// an error, lines by others are ignored.
    ///
    /// # Errors
    /// [`AuditError`] where any of it doesn't hold.
    pub fn verify_any(note: &str, keys: &[VerifierKey]) -> Result<Self, AuditError> {
        let note = SignedNote::parse(note)?;
        let mut signed = None;
        for key in keys {
            match note.verify(key) {
                Ok(()) => signed = signed.or(Some(key)),
                Err(AuditError::NotSigned { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        match signed {
            Some(key) => Self::parse(&note.text)?.of_origin(key),
            None => Err(AuditError::SignedByNone {
                known: VerifierKey::list(keys),
            }),
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

    fn of_origin(self, key: &VerifierKey) -> Result<Self, AuditError> {
        if self.origin != key.name() {
            return Err(AuditError::format(
                "a checkpoint whose origin is its key's name",
                &self.origin,
            ));
        }
        Ok(self)
    }
}
