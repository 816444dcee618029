//! Files that are signed one after the other: a text, and below it a line for each signature.

use sha2::{Digest as _, Sha256};

use super::{Act, AuthorityError, Bundle, RootPolicy, act, bundle, policy};
use crate::audit::{AuditError, CheckpointSigners, SignedNote, VerifierKey, sign_statement};

/// What a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DocumentText {
    /// A root policy.
    Policy(RootPolicy),
    /// A bundle.
    Bundle(Box<Bundle>),
    /// An act.
    Act(Box<Act>),
}

/// A root policy, a bundle or an act, with the signatures below it. None was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// What it says.
    pub text: DocumentText,
    /// The text and its signatures; `signatures` is empty where nobody signed yet.
    pub note: SignedNote,
}

impl Document {
    /// Reads a file, signed or not.
    ///
    /// # Errors
    /// [`AuthorityError`] where it is none of the three.
    pub fn read(content: &str) -> Result<Self, AuthorityError> {
        let note = note_of(content)?;
        let first = note.text.split('\n').next().unwrap_or_default();
        let text = match first {
            policy::FIRST_LINE => DocumentText::Policy(RootPolicy::parse(&note.text)?),
            bundle::FIRST_LINE => DocumentText::Bundle(Box::new(Bundle::parse(&note.text)?)),
            act::FIRST_LINE => DocumentText::Act(Box::new(Act::parse(&note.text)?)),
            other => {
                return Err(AuthorityError::OtherText {
                    got: super::error::shown(other),
                });
            }
        };
        Ok(Self { text, note })
    }

    /// The file's content.
    #[must_use]
    pub fn content(&self) -> String {
        if self.note.signatures.is_empty() {
            self.note.text.clone()
        } else {
            self.note.to_string()
        }
    }

    /// SHA-256 of the text.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(&self.note.text).into()
    }
}

/// A text that nobody signed is a note without lines.
fn note_of(content: &str) -> Result<SignedNote, AuthorityError> {
    if content.contains("\n\n") {
        return SignedNote::parse(content).map_err(AuthorityError::Note);
    }
    Ok(SignedNote {
        text: content.to_owned(),
        signatures: Vec::new(),
    })
}

/// Adds a signature; a key that signed already does not sign again. The second value says whether it did.
///
/// # Errors
/// [`AuthorityError`] where the key can't sign, or a line by it does not verify.
pub async fn add_signature(
    document: Document,
    key: &VerifierKey,
    signers: &CheckpointSigners,
) -> Result<(Document, bool), AuthorityError> {
    let signed = key
        .verified_lines(&document.note)
        .map_err(AuthorityError::BadSignature)?;
    if !signed.is_empty() {
        return Ok((document, false));
    }
    let text = document.note.text.clone();
    let one = sign_statement(text, std::slice::from_ref(key), signers)
        .await
        .map_err(AuthorityError::Signing)?;
    Ok((merge(document, &one)?, true))
}

/// Takes over the signatures of another copy of the same text.
///
/// # Errors
/// [`AuthorityError::TwoTexts`], or [`AuthorityError::Note`] where there are too many signatures.
pub fn merge(document: Document, other: &SignedNote) -> Result<Document, AuthorityError> {
    /// As many lines as a note may have.
    const SIGNATURES_MAX: usize = 128;
    if document.note.text != other.text {
        return Err(AuthorityError::TwoTexts {
            first: hex::encode(document.digest()),
            second: hex::encode(Sha256::digest(&other.text)),
        });
    }
    let mut document = document;
    for line in &other.signatures {
        if !document.note.signatures.contains(line) {
            document.note.signatures.push(line.clone());
        }
    }
    if document.note.signatures.len() > SIGNATURES_MAX {
        return Err(AuthorityError::Note(AuditError::format(
            "at most 128 signatures in a note",
            "more",
        )));
    }
    Ok(document)
}
