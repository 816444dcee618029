//! A signing key in a PKCS #11 token: it was made there, signs there, and never leaves it.
//!
//! - `module` has the thread that speaks to a module, so that a token that hangs blocks nobody but itself;
//! - `connection` initialises, logs in and finds keys, and does all of it anew when a token went away and came back;
//! - `key` makes and checks keys; `pin` reads the PIN's file.

mod connection;
mod error;
mod key;
mod module;
mod pin;

use std::path::PathBuf;

pub use error::{ModuleError, TokenError};

use crate::audit::AuditError;
use module::Module;

/// Which key in which token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenKey {
    /// The PKCS #11 module, a shared library.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// The key pair's label (`CKA_LABEL`).
    pub label: String,
    /// The file with the user's PIN: one line, readable by its owner only. It is read again whenever the token was away.
    pub pin_file: PathBuf,
}

/// A key in a token. Holding one proves that it is an Ed25519 key that can't be read out of the token, and that it has signed.
pub struct TokenSigner {
    key: TokenKey,
    module: Module,
    public_key: [u8; 32],
    born_in_token: bool,
}

impl std::fmt::Debug for TokenSigner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("TokenSigner")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// What a key signs when it is opened: spaces in the first line keep it from being a checkpoint of any log, and the random part from
/// being of use to anybody.
fn trial() -> String {
    format!(
        "Keyline tries whether this key signs. This is no checkpoint.\n{}\n",
        hex::encode(rand::random::<[u8; 32]>())
    )
}

impl TokenSigner {
    /// Finds the key, checks that it is an Ed25519 key, sensitive and not extractable, and has it sign a text that is no checkpoint.
    ///
    /// # Errors
    /// [`AuditError::Token`] where any of this fails, or the token does not answer.
    pub async fn open(key: TokenKey) -> Result<Self, AuditError> {
        let opened = async {
            let module = Module::of(&key.module)?;
            let wanted = key.clone();
            let facts = module
                .ask(move |connection| connection.open(&wanted, trial().as_bytes()))
                .await?;
            Ok((module, facts))
        };
        let (module, facts) = opened.await.map_err(|source| refused(&key, source))?;
        Ok(Self {
            module,
            public_key: facts.public_key,
            born_in_token: facts.born_in_token,
            key,
        })
    }

    /// Makes the key pair in the token, sensitive and not extractable, and opens it. A label that is in use is refused.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn generate(key: TokenKey) -> Result<Self, AuditError> {
        let made = async {
            let wanted = key.clone();
            Module::of(&key.module)?
                .ask(move |connection| connection.generate(&wanted))
                .await
        };
        made.await.map_err(|source| refused(&key, source))?;
        Self::open(key).await
    }

    /// Signs. A token that was away and is back is logged in to again, without a word; it must have the same key.
    ///
    /// # Errors
    /// [`AuditError::Token`] where the token does not sign.
    pub async fn sign(&self, text: &[u8]) -> Result<[u8; 64], AuditError> {
        let (wanted, public_key, text) = (self.key.clone(), self.public_key, text.to_vec());
        self.module
            .ask(move |connection| connection.sign(&wanted, &public_key, &text))
            .await
            .map_err(|source| refused(&self.key, source))
    }

    /// Where the key is.
    #[must_use]
    pub const fn key(&self) -> &TokenKey {
        &self.key
    }

    /// The public key.
    #[must_use]
    pub const fn public_key(&self) -> &[u8; 32] {
        &self.public_key
    }

    /// Whether the token says that the key was made in it and could never be read; one that was brought in from outside may have a copy
    /// there.
    #[must_use]
    pub const fn born_in_token(&self) -> bool {
        self.born_in_token
    }
}

fn refused(key: &TokenKey, source: TokenError) -> AuditError {
    AuditError::Token {
        token: key.token.clone(),
        label: key.label.clone(),
        source: Box::new(source),
    }
}
