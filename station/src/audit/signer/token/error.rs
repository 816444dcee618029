//! Why a token's key can't be used.

use std::path::PathBuf;

use cryptoki::error::Error;

/// What a module said: the call and its return value. The library's own words for it are paragraphs of the standard.
#[derive(Debug)]
pub struct ModuleError(pub(super) Error);

impl std::fmt::Display for ModuleError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Error::Pkcs11(value, function) => write!(formatter, "C_{function:?} gave {value:?}"),
            other => write!(formatter, "{other}"),
        }
    }
}

impl std::error::Error for ModuleError {}

/// Why a token's key can't be used: what was expected, what came.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The library that speaks to the token.
    #[error("the PKCS #11 module {} can't be loaded", .module.display())]
    Module {
        /// The library's file.
        module: PathBuf,
        /// Why.
        #[source]
        source: ModuleError,
    },
    /// A call to the module failed.
    #[error("the token failed while {doing}")]
    Call {
        /// What was being done.
        doing: &'static str,
        /// What the module said.
        #[source]
        source: ModuleError,
    },
    /// There is no token of that label, or more than one.
    #[error("expected one token labelled \"{token}\", found {}", listed(.found))]
    NoToken {
        /// The label.
        token: String,
        /// The labels that were found.
        found: Vec<String>,
    },
    /// There is no private key of that label, or more than one: then nobody can say which one signs.
    #[error("expected one private key labelled \"{label}\" in the token, found {count}")]
    KeyCount {
        /// The label.
        label: String,
        /// How many were found.
        count: usize,
    },
    /// There is a key of that label where a new one was to be made.
    #[error("expected no key labelled \"{label}\" in the token yet, found one")]
    KeyExists {
        /// The label.
        label: String,
    },
    /// The key is none that the log can be signed with.
    #[error("expected an Ed25519 key labelled \"{label}\", got {got}")]
    KeyKind {
        /// The label.
        label: String,
        /// What it is.
        got: String,
    },
    /// The key could be read out of the token.
    #[error("expected a key with {expected}, the key labelled \"{label}\" has {got}")]
    KeyExposed {
        /// The label.
        label: String,
        /// `CKA_SENSITIVE true` or `CKA_EXTRACTABLE false`.
        expected: &'static str,
        /// What it has.
        got: &'static str,
    },
    /// The private key's public half is not in the token.
    #[error("expected one public key beside the private key labelled \"{label}\", found {count}")]
    NoPublicKey {
        /// The label.
        label: String,
        /// How many were found.
        count: usize,
    },
    /// The token signs, but not with the key that its public half says.
    #[error(
        "expected signatures by the public key beside the private key labelled \"{label}\", got others"
    )]
    NotAPair {
        /// The label.
        label: String,
    },
    /// The token that answers now has another key under the same label.
    #[error("expected the public key {expected} labelled \"{label}\", the token now has {got}")]
    OtherKey {
        /// The label.
        label: String,
        /// The key that this station opened, in hexadecimal.
        expected: String,
        /// The key that is there now.
        got: String,
    },
    /// The PIN's file can't be read.
    #[error("the token's PIN file {} can't be read", .path.display())]
    PinFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Others than its owner can reach the PIN's file.
    #[error(
        "expected permissions 0600 or stricter on the token's PIN file {}, got {mode:04o}", .path.display()
    )]
    PinFileOpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file holds no PIN.
    #[error("expected one line with the PIN in {}, got something else", .path.display())]
    PinFileFormat {
        /// The file.
        path: PathBuf,
    },
    /// The token does not take the PIN. It is not tried again before its file was changed: tokens lock themselves after a few wrong ones.
    #[error("the token refused the PIN in {}", .path.display())]
    PinRefused {
        /// The file.
        path: PathBuf,
    },
    /// The token does not answer.
    #[error("expected an answer of the token within {seconds} s, got none")]
    Silent {
        /// How long was waited.
        seconds: u64,
    },
    /// The thread that speaks to the token could not be had.
    #[error("the thread that speaks to the token has ended")]
    Lost,
}

impl TokenError {
    /// Whether connecting anew can't help: a person must change something first.
    pub(super) const fn needs_a_person(&self) -> bool {
        matches!(
            self,
            Self::PinRefused { .. }
                | Self::PinFileOpenToOthers { .. }
                | Self::PinFileFormat { .. }
                | Self::KeyKind { .. }
                | Self::KeyExposed { .. }
                | Self::OtherKey { .. }
                | Self::KeyExists { .. }
        )
    }

    /// What to do.
    #[must_use]
    pub const fn next(&self) -> &'static str {
        match self {
            Self::Module { .. } => {
                "Install the token's PKCS #11 module, or correct its path in [[audit.key]]."
            }
            Self::NoToken { .. } | Self::Call { .. } | Self::Silent { .. } | Self::Lost => {
                "Connect the token again (or start what serves it), then run again: nothing was lost, and nothing needs a restart."
            }
            Self::KeyCount { .. } => {
                "Correct the key's label in [[audit.key]], or see to it that one key only has it."
            }
            Self::KeyExists { .. } => "Choose another label for the new key.",
            Self::KeyKind { .. } | Self::KeyExposed { .. } => {
                "Use an Ed25519 key that was made in the token, sensitive and not extractable: `keyline audit key make` makes one."
            }
            Self::NoPublicKey { .. } | Self::NotAPair { .. } => {
                "Put the public half beside the private key, with the same CKA_ID and label."
            }
            Self::OtherKey { .. } => {
                "Connect the token that this log was signed with; a new key joins with `keyline audit key add`."
            }
            Self::PinFile { .. } | Self::PinFileFormat { .. } => {
                "Put the token's PIN into its file, as one line, with mode 0600; then run again."
            }
            Self::PinFileOpenToOthers { .. } => {
                "Take the others' permissions away (`chmod 600`) and have the PIN changed: they may have read it."
            }
            Self::PinRefused { .. } => {
                "Put the right PIN into its file, then run again; the same PIN is not tried twice, because tokens lock themselves."
            }
        }
    }
}

fn listed(found: &[String]) -> String {
    if found.is_empty() {
        return "none".to_owned();
    }
    let quoted: Vec<_> = found.iter().map(|label| format!("\"{label}\"")).collect();
    quoted.join(", ")
}
