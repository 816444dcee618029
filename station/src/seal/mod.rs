//! Seals data to a person's public key, so that it can leave the station on any stick or mail: only the holder of the private key
//! opens it, with plain `openssl cms -decrypt`, years later and without this software.
//!
//! The format is CMS `AuthEnvelopedData` (RFC 5083) in DER, checked against OpenSSL 3.0:
//!
//! | part | choice | why |
//! |-|-|-|
//! | content | AES-256-GCM (RFC 5084), a fresh key and nonce each time | a changed byte and a wrong key are both refused by its tag |
//! | to an RSA key | RSAES-OAEP with SHA-256 and MGF1 with SHA-256 (RFC 3560) | no padding oracle of PKCS #1 v1.5 |
//! | to a P-256 key | ephemeral-static ECDH, X9.63 KDF with SHA-256, AES-256 key wrap (RFC 5753) | the only form that CMS has for curves |
//! | recipient | subject key identifier: SHA-1 of the key's bits (RFC 5280, 4.2.1.2, method 1) | a bare public key has no issuer and serial |
//!
//! OpenSSL writes what it has decrypted before it has seen the tag at the end, so what it wrote counts only if it ended with exit
//! code 0; [`open_command`] is written so that nothing is unpacked otherwise.
//!
//! The builder of the crate `cms` 0.3.0-rc.0 is not used: it derives the key-encryption key for an elliptic-curve recipient and then
//! wraps under a key of zeros instead (`builder/kari.rs`, `init_kek`), and it has no `AuthEnvelopedData`. Its types are; the
//! cryptography is that of aws-lc-rs and of `ansi-x963-kdf`.
//!
//! The content is sealed in place in memory, in one piece, so its size has a limit: [`CONTENT_LENGTH_MAX`].

mod envelope;
mod recipient;
mod transport;

use std::io::{self, Write};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use x509_cert::der;
use zeroize::Zeroizing;

pub use recipient::{Recipient, RecipientError};

/// The largest content that is sealed, in bytes: it is held in memory once, and `openssl cms` holds it in memory too.
pub const CONTENT_LENGTH_MAX: usize = 256 * 1024 * 1024;

/// The length of a content-encryption key, in bytes.
const KEY_LENGTH: usize = 32;

/// Why something can't be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// More than is held in memory.
    #[error(
        "expected at most {CONTENT_LENGTH_MAX} bytes to seal, got {got} or more; seal less at a time"
    )]
    TooLarge {
        /// What came, in bytes; or as much of it as was counted.
        got: u64,
    },
    /// The cryptographic library refused.
    #[error("expected the cryptographic library to {doing}, it refused")]
    Library {
        /// What it was to do.
        doing: &'static str,
    },
    /// The structure can't be written down.
    #[error("expected a CMS structure that can be written as DER, the library refused")]
    Encoding(#[from] der::Error),
}

impl SealError {
    /// What aws-lc-rs was doing when it refused, for `map_err`.
    const fn library(doing: &'static str) -> impl Fn(Unspecified) -> Self {
        move |_| Self::Library { doing }
    }
}

/// Sealed data: a CMS file in three pieces that follow one another.
#[derive(Debug)]
pub struct Sealed {
    head: Vec<u8>,
    content: Vec<u8>,
    tail: Vec<u8>,
}

impl Sealed {
    /// Writes the file's bytes.
    ///
    /// # Errors
    /// Whatever the writer returns.
    pub fn write_to(&self, writer: &mut impl Write) -> io::Result<()> {
        writer.write_all(&self.head)?;
        writer.write_all(&self.content)?;
        writer.write_all(&self.tail)
    }

    /// The file's length in bytes.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.head.len() + self.content.len() + self.tail.len()
    }
}

/// Seals `content` to `recipient`. Nobody else, this station included, can open it again.
///
/// # Errors
/// [`SealError`] where the content is longer than [`CONTENT_LENGTH_MAX`] or a library refuses.
pub fn seal(recipient: &Recipient, mut content: Vec<u8>) -> Result<Sealed, SealError> {
    if content.len() > CONTENT_LENGTH_MAX {
        return Err(SealError::TooLarge {
            got: content.len() as u64,
        });
    }
    let mut key = Zeroizing::new([0; KEY_LENGTH]);
    aws_lc_rs::rand::fill(&mut key[..])
        .map_err(SealError::library("draw a content-encryption key"))?;
    let recipient_info = transport::recipient_info(recipient, &key)?;
    // The key is used once, so that any nonce is fresh under it.
    let nonce: [u8; 12] = rand::random();
    let cipher = UnboundKey::new(&AES_256_GCM, &key[..])
        .map(LessSafeKey::new)
        .map_err(SealError::library("take a key for AES-256-GCM"))?;
    let tag = cipher
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::empty(),
            &mut content,
        )
        .map_err(SealError::library("encrypt with AES-256-GCM"))?;
    let (head, tail) = envelope::around(content.len(), recipient_info, nonce, tag.as_ref())?;
    Ok(Sealed {
        head,
        content,
        tail,
    })
}

/// The command that opens the sealed archive `file` with the private key in `KEY.pem`, as it is shown to people. It unpacks nothing
/// where OpenSSL refuses, and into a directory of its own, which is verified as it is.
#[must_use]
pub fn open_command(file: &str, archive: &str) -> String {
    format!(
        "openssl cms -decrypt -binary -inform DER -in {file} -inkey KEY.pem -out {archive} && mkdir opened && tar -xf {archive} -C opened"
    )
}
