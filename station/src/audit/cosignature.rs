//! Cosignatures (C2SP `tlog-cosignature`): a witness says that, at a time, a checkpoint was the largest consistent one it had seen of a log.
//!
//! A line of a signed note by a key of type 0x04 holds
//!
//! | bytes | what |
//! |---|---|
//! | 4 | key id, big-endian |
//! | 8 | time, seconds since 1970, big-endian |
//! | 64 | Ed25519 over `cosignature/v1\n`, `time T\n` and the text of the note |

use std::path::Path;

use super::key::{NamedKey, SignatureType};
use super::signer::FileSigner;
use super::{AuditError, NoteSignature, SignedNote};

/// The latest time that a cosignature may have, in seconds since 1970.
const TIME_MAX_S: u64 = i64::MAX.cast_unsigned();

/// A witness's public key and its name (`NAME+KEYID+KEY` with the signature type 0x04).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessKey(NamedKey);

/// A cosignature that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosignature {
    /// When the witness made it, in seconds since 1970 by its own clock.
    pub time_s: u64,
    /// The line of the note.
    pub line: NoteSignature,
}

impl WitnessKey {
    /// An Ed25519 key under a witness's name.
    ///
    /// # Errors
    /// [`AuditError::Format`] where the name can't stand in a note, or the bytes are no key.
    pub fn new(name: &str, public_key: &[u8; 32]) -> Result<Self, AuditError> {
        NamedKey::new(SignatureType::Cosignature, name, public_key).map(Self)
    }

    /// Reads `name+hex(key id)+base64(0x04 ‖ public key)`.
    ///
    /// # Errors
    /// [`AuditError::Format`] where the text is anything else, a log's key included, or the key id isn't the key's.
    pub fn parse(text: &str) -> Result<Self, AuditError> {
        NamedKey::parse(SignatureType::Cosignature, text).map(Self)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// First four bytes of SHA-256(name ‖ 0x0A ‖ 0x04 ‖ public key).
    #[must_use]
    pub fn key_id(&self) -> u32 {
        self.0.key_id()
    }

    /// The key without its name, 32 bytes as RFC 8032 encodes it.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        self.0.public_key()
    }

    /// Checks the cosignatures by this key and gives the one with the latest time; lines by other keys are ignored.
    ///
    /// That the text is a checkpoint, and whose, is not looked at: see [`super::Checkpoint::verify_any`].
    ///
    /// # Errors
    /// [`AuditError::NotSigned`], or [`AuditError::BadSignature`] where a line by the key doesn't verify.
    pub fn verify(&self, note: &SignedNote) -> Result<Cosignature, AuditError> {
        let mut latest: Option<Cosignature> = None;
        for line in self.0.lines_in(note) {
            let time_s = self.verify_line(&note.text, line)?;
            if latest.as_ref().is_none_or(|found| found.time_s < time_s) {
                latest = Some(Cosignature {
                    time_s,
                    line: line.clone(),
                });
            }
        }
        latest.ok_or_else(|| self.0.not_signed())
    }

    fn verify_line(&self, text: &str, line: &NoteSignature) -> Result<u64, AuditError> {
        let (time, signature) = line
            .signature
            .split_first_chunk::<8>()
            .ok_or_else(|| self.0.bad_signature())?;
        let time_s = u64::from_be_bytes(*time);
        if time_s > TIME_MAX_S {
            return Err(self.0.bad_signature());
        }
        self.0
            .verify(cosigned_message(text, time_s).as_bytes(), signature)?;
        Ok(time_s)
    }
}

impl std::fmt::Display for WitnessKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Makes cosignatures with a key that signs nothing else: an Ed25519 cosignature doesn't commit to its witness's name.
#[derive(Debug)]
pub struct CosignatureSigner {
    signer: FileSigner,
    key: WitnessKey,
}

impl CosignatureSigner {
    /// Makes a key and its file, with permissions 0600. A file that is there already is never overwritten.
    ///
    /// # Errors
    /// [`AuditError`] where the name can't stand in a note, the file exists or can't be written, or the system has no random numbers.
    pub fn generate(path: &Path, name: &str) -> Result<Self, AuditError> {
        Self::check_name(name)?;
        Self::with(FileSigner::generate(path)?, name)
    }

    /// Checks a witness's name before anything is made for it.
    ///
    /// # Errors
    /// [`AuditError::Format`] where it can't stand in a note.
    pub fn check_name(name: &str) -> Result<(), AuditError> {
        if super::key::is_key_name(name) {
            return Ok(());
        }
        Err(AuditError::format(
            "a witness's name without spaces, control characters and +",
            name,
        ))
    }

    /// Reads the key.
    ///
    /// # Errors
    /// [`AuditError`] where the name can't stand in a note, the file can't be read, others can reach it, or it holds no Ed25519 key.
    pub fn open(path: &Path, name: &str) -> Result<Self, AuditError> {
        Self::with(FileSigner::open(path)?, name)
    }

    fn with(signer: FileSigner, name: &str) -> Result<Self, AuditError> {
        let key = WitnessKey::new(name, &signer.public_key())?;
        Ok(Self { signer, key })
    }

    /// The public key under the witness's name: what logs and auditors are given.
    #[must_use]
    pub const fn key(&self) -> &WitnessKey {
        &self.key
    }

    /// Cosigns the text of a checkpoint, with its last newline. `time_s` is now, in seconds since 1970 and at most 2^63 − 1.
    ///
    /// The caller has checked that the checkpoint is consistent with all it ever cosigned of this log, and has that on disk before it lets
    /// the line go.
    #[must_use]
    pub fn cosign(&self, checkpoint_text: &str, time_s: u64) -> NoteSignature {
        let time_s = time_s.min(TIME_MAX_S);
        let message = cosigned_message(checkpoint_text, time_s);
        let mut signature = time_s.to_be_bytes().to_vec();
        signature.extend_from_slice(&self.signer.sign(message.as_bytes()));
        NoteSignature {
            name: self.key.name().to_owned(),
            key_id: self.key.key_id(),
            signature,
        }
    }
}

/// What an Ed25519 cosignature signs.
fn cosigned_message(checkpoint_text: &str, time_s: u64) -> String {
    format!("cosignature/v1\ntime {time_s}\n{checkpoint_text}")
}
