//! What signs the audit log, and who vouches for it: `[audit]` of the configuration. The comments of the fields are the manual.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::config::{within, wrong};
use super::error::ConfigError;
use crate::audit::WitnessKey;

/// `[audit]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditConfig {
    /// How many of the witnesses must have cosigned a checkpoint before what it covers counts as witnessed: 0 to their number. Required
    /// witnesses are among them.
    pub cosignatures_min: usize,
    /// How many leaves the log may run ahead of its last witnessed checkpoint; past it no run begins. Counts only where
    /// `cosignatures_min` is not 0.
    pub ahead_leaves_max: u64,
    /// How many hours the log may run ahead of its last witnessed checkpoint: 1 to 720.
    pub ahead_hours_max: u64,
    /// The keys at hand for signing checkpoints: one, or two during a roll-over. Which of them sign is what the log says (`keyline audit key`);
    /// all of them must be reachable when the station opens.
    #[serde(rename = "key")]
    pub keys: Vec<LogKeyConfig>,
    /// Who cosigns checkpoints. At least one required witness should stand outside the factory.
    #[serde(rename = "witness", skip_serializing_if = "Vec::is_empty")]
    pub witnesses: Vec<WitnessConfig>,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            cosignatures_min: 0,
            ahead_leaves_max: 100_000,
            ahead_hours_max: 24,
            keys: vec![LogKeyConfig::File {
                path: "keys/audit.pem".into(),
            }],
            witnesses: Vec::new(),
        }
    }
}

impl AuditConfig {
    /// The keys that lie in files, relative to the home.
    pub fn key_files(&self) -> impl Iterator<Item = &Path> {
        self.keys.iter().filter_map(|key| match key {
            LogKeyConfig::File { path } => Some(path.as_path()),
            LogKeyConfig::Token { .. } => None,
        })
    }

    /// Checks every value.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("the number of audit.key", "1 or 2", 1..=2, self.keys.len())?;
        for key in &self.keys {
            check_log_key(key)?;
        }
        let witnesses = self.witnesses.len();
        within("the number of audit.witness", "0 to 32", 0..=32, witnesses)?;
        if self.cosignatures_min > witnesses {
            return Err(wrong(
                "audit.cosignatures_min",
                "at most the number of audit.witness",
                self.cosignatures_min,
            ));
        }
        within(
            "audit.ahead_hours_max",
            "1 to 720",
            1..=720,
            self.ahead_hours_max,
        )?;
        let mut keys = BTreeSet::new();
        for witness in &self.witnesses {
            let key = WitnessKey::parse(&witness.key).map_err(|_| {
                let expected = "a witness's verifier key NAME+KEYID+KEY (type 0x04), as `keyline witness show` prints it";
                wrong("audit.witness.key", expected, witness.key.escape_debug())
            })?;
            // One key under two names is one witness: it would count twice.
            if !keys.insert(key.public_key()) {
                let expected = "the key of one witness only";
                return Err(wrong("audit.witness.key", expected, key));
            }
            check_witness_url(&witness.url)?;
        }
        Ok(())
    }
}

/// `[[audit.key]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum LogKeyConfig {
    /// An Ed25519 key in a file: for demonstrations. Anybody who can read it can sign in this station's name.
    File {
        /// PKCS #8 PEM, relative to the home.
        path: PathBuf,
    },
    /// An Ed25519 key in a PKCS #11 token: it was made there and never leaves it.
    Token {
        /// The token's PKCS #11 module: a shared library, by its absolute path.
        module: PathBuf,
        /// The token's label.
        token: String,
        /// The key pair's label; one private key of the token has it.
        label: String,
        /// The file with the token's PIN, one line, mode 0600; relative to the home. It is read again whenever the token was away.
        pin_file: PathBuf,
    },
}

/// `[[audit.witness]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessConfig {
    /// Its verifier key, `NAME+KEYID+KEY`, as the witness prints it.
    pub key: String,
    /// Its submission prefix: `http://` or `https://`, without `/add-checkpoint`.
    pub url: String,
    /// Nothing counts as witnessed without its cosignature.
    #[serde(default)]
    pub required: bool,
}

fn check_log_key(key: &LogKeyConfig) -> Result<(), ConfigError> {
    let LogKeyConfig::Token {
        module,
        token,
        label,
        pin_file,
    } = key
    else {
        return Ok(());
    };
    if !module.is_absolute() {
        let expected = "the absolute path of a PKCS #11 module";
        return Err(wrong("audit.key.module", expected, module.display()));
    }
    if pin_file.as_os_str().is_empty() {
        return Err(wrong("audit.key.pin_file", "a path", ""));
    }
    for (key, expected, length_max, text) in [
        ("audit.key.token", "a label of 1 to 32 bytes", 32, token),
        ("audit.key.label", "a label of 1 to 128 bytes", 128, label),
    ] {
        let sound = (1..=length_max).contains(&text.len());
        if !sound || text.chars().any(char::is_control) {
            return Err(wrong(key, expected, text.escape_debug()));
        }
    }
    Ok(())
}

fn check_witness_url(url: &str) -> Result<(), ConfigError> {
    let host = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"))
        .unwrap_or_default();
    let expected =
        "an http:// or https:// URL without spaces, ? and #, and without a user's name or password";
    // It stands in policies and in the log. What may hold a password is not repeated.
    if host
        .split('/')
        .next()
        .is_some_and(|host| host.contains('@'))
    {
        let got = "one with a user's name or password";
        return Err(wrong("audit.witness.url", expected, got));
    }
    if host.contains('?') {
        let got = "one with a query";
        return Err(wrong("audit.witness.url", expected, got));
    }
    let plain = |c: char| !(c.is_whitespace() || c.is_control() || c == '?' || c == '#');
    if host.is_empty() || host.starts_with('/') || !host.chars().all(plain) {
        return Err(wrong("audit.witness.url", expected, url.escape_debug()));
    }
    Ok(())
}
