//! The station's configuration, `config.toml`: one struct a concern. The comments of the fields are the manual.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use keyline_protocol::identity::Algorithm;
use serde::{Deserialize, Serialize};

use super::error::{ConfigError, HomeError};
use super::link_selector::LinkSelector;
use crate::audit::WitnessKey;
use crate::record::StationId;

/// The most slots that a station has.
pub const SLOTS_MAX: usize = 64;

/// The whole file. Keys that are not listed here are refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Who this station is.
    pub station: StationConfig,
    /// Where it keeps its own record.
    #[serde(default)]
    pub journal: JournalConfig,
    /// Where pins are entered.
    #[serde(default)]
    pub registry: RegistryConfig,
    /// What signs the audit log.
    #[serde(default)]
    pub audit: AuditConfig,
    /// Who acts when a command does not say.
    #[serde(default)]
    pub operator: OperatorConfig,
    /// How units are run.
    #[serde(default)]
    pub line: LineConfig,
    /// Keys that the station makes ahead.
    #[serde(default)]
    pub key_pool: KeyPoolConfig,
    /// The log file.
    #[serde(default)]
    pub log: LogConfig,
    /// The fixture positions.
    #[serde(default, rename = "slot", skip_serializing_if = "Vec::is_empty")]
    pub slots: Vec<SlotConfig>,
}

/// `[station]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StationConfig {
    /// The station's id, 32 hexadecimal digits, made by `init`. It stands in every proof: never change it, never copy it to another home.
    pub id: StationId,
    /// What people call the station; also the origin line of its audit log.
    pub name: String,
}

/// `[journal]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JournalConfig {
    /// The database file, relative to the home.
    pub path: PathBuf,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self {
            path: "journal.sqlite".into(),
        }
    }
}

/// `[registry]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegistryConfig {
    /// `sqlite:PATH` with a path relative to the home, or a `postgres://` URL without a password.
    pub url: String,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            url: "sqlite:registry.sqlite".to_owned(),
        }
    }
}

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

/// `[operator]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OperatorConfig {
    /// The token that stands for whoever runs a command without `--operator-token`, relative to the home. Remove the file where each
    /// operator shall bring his own.
    pub token_file: PathBuf,
}

impl Default for OperatorConfig {
    fn default() -> Self {
        Self {
            token_file: "keys/operator.token".into(),
        }
    }
}

/// `[line]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LineConfig {
    /// A unit that failed so many times in a row is set apart: 1 to 10.
    pub failures_max: u32,
    /// The least free space on the home's disk with which a run is begun, in MiB.
    pub free_space_min_mib: u64,
}

impl Default for LineConfig {
    fn default() -> Self {
        Self {
            failures_max: 3,
            free_space_min_mib: 64,
        }
    }
}

/// `[key_pool]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeyPoolConfig {
    /// How many P-256 keys wait for units whose product wants station-made ones: 0 to 256.
    pub p256: usize,
    /// How many RSA-2048 keys wait: 0 to 256.
    pub rsa2048: usize,
    /// How many RSA-3072 keys wait: 0 to 256.
    pub rsa3072: usize,
    /// How many threads make them: 1 to 64.
    pub threads: usize,
}

impl Default for KeyPoolConfig {
    fn default() -> Self {
        Self {
            p256: 64,
            rsa2048: 32,
            rsa3072: 16,
            threads: 2,
        }
    }
}

impl KeyPoolConfig {
    /// How many keys of this algorithm wait.
    #[must_use]
    pub const fn level(&self, algorithm: Algorithm) -> usize {
        match algorithm {
            Algorithm::P256 => self.p256,
            Algorithm::Rsa2048 => self.rsa2048,
            Algorithm::Rsa3072 => self.rsa3072,
        }
    }
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// How many days of log files are kept in `log/`: 1 to 365.
    pub days: usize,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { days: 14 }
    }
}

/// `[[slot]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotConfig {
    /// The number on the fixture: 1 to 999.
    pub number: u16,
    /// How the unit is reached: `probe:VID:PID:SERIAL`, `serial:/dev/ttyUSB0` or `sim`. A probe belongs to its slot by its serial number.
    pub link: LinkSelector,
}

impl Config {
    /// The configuration of a new station.
    #[must_use]
    pub fn new(id: StationId, name: &str) -> Self {
        Self {
            station: StationConfig {
                id,
                name: name.to_owned(),
            },
            journal: JournalConfig::default(),
            registry: RegistryConfig::default(),
            audit: AuditConfig::default(),
            operator: OperatorConfig::default(),
            line: LineConfig::default(),
            key_pool: KeyPoolConfig::default(),
            log: LogConfig::default(),
            slots: Vec::new(),
        }
    }

    /// Reads and checks a configuration.
    ///
    /// # Errors
    /// [`ConfigError`] with the line and column, or the key, of what is wrong.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| ConfigError::Syntax {
            message: error.to_string().trim_end().to_owned(),
        })?;
        config.check()?;
        Ok(config)
    }

    /// Checks every value; `home` is named in the error.
    ///
    /// # Errors
    /// [`HomeError::Config`] with the key that can't work.
    pub fn validate(&self, home: &Path) -> Result<(), HomeError> {
        self.check().map_err(|source| HomeError::Config {
            path: home.join(super::CONFIG_FILE),
            source,
        })
    }

    /// The slot of this number.
    #[must_use]
    pub fn slot(&self, number: u16) -> Option<&SlotConfig> {
        self.slots.iter().find(|slot| slot.number == number)
    }

    fn check(&self) -> Result<(), ConfigError> {
        check_name(&self.station.name)?;
        let key_files = self.audit.key_files().map(|path| ("audit.key", path));
        for (key, path) in [
            ("journal.path", self.journal.path.as_path()),
            ("operator.token_file", self.operator.token_file.as_path()),
        ]
        .into_iter()
        .chain(key_files)
        {
            if path.as_os_str().is_empty() {
                return Err(wrong(key, "a path", path.display()));
            }
        }
        check_registry(&self.registry.url)?;
        within(
            "line.failures_max",
            "1 to 10",
            1..=10,
            self.line.failures_max,
        )?;
        let pool = &self.key_pool;
        for (key, level) in [
            ("key_pool.p256", pool.p256),
            ("key_pool.rsa2048", pool.rsa2048),
            ("key_pool.rsa3072", pool.rsa3072),
        ] {
            within(key, "0 to 256", 0..=crate::key_pool::LEVEL_MAX, level)?;
        }
        within("key_pool.threads", "1 to 64", 1..=64, pool.threads)?;
        within("log.days", "1 to 365", 1..=365, self.log.days)?;
        self.check_audit()?;
        self.check_slots()
    }

    fn check_audit(&self) -> Result<(), ConfigError> {
        let audit = &self.audit;
        within("the number of audit.key", "1 or 2", 1..=2, audit.keys.len())?;
        for key in &audit.keys {
            check_log_key(key)?;
        }
        let witnesses = audit.witnesses.len();
        within("the number of audit.witness", "0 to 32", 0..=32, witnesses)?;
        if audit.cosignatures_min > witnesses {
            return Err(wrong(
                "audit.cosignatures_min",
                "at most the number of audit.witness",
                audit.cosignatures_min,
            ));
        }
        within(
            "audit.ahead_hours_max",
            "1 to 720",
            1..=720,
            audit.ahead_hours_max,
        )?;
        let mut keys = BTreeSet::new();
        for witness in &audit.witnesses {
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

    fn check_slots(&self) -> Result<(), ConfigError> {
        within(
            "the number of slots",
            "0 to 64",
            0..=SLOTS_MAX,
            self.slots.len(),
        )?;
        let mut numbers = BTreeSet::new();
        let mut links = BTreeSet::new();
        for slot in &self.slots {
            within("slot.number", "1 to 999", 1..=999, slot.number)?;
            if !numbers.insert(slot.number) {
                return Err(wrong("slot.number", "unique", slot.number));
            }
            if slot.link != LinkSelector::Sim && !links.insert(slot.link.to_string()) {
                return Err(wrong("slot.link", "the link of one slot only", &slot.link));
            }
        }
        Ok(())
    }
}

fn wrong(key: &str, expected: &'static str, got: impl std::fmt::Display) -> ConfigError {
    ConfigError::Value {
        key: key.to_owned(),
        expected,
        got: format!("\"{got}\""),
    }
}

fn within<T: PartialOrd + std::fmt::Display>(
    key: &str,
    expected: &'static str,
    range: std::ops::RangeInclusive<T>,
    got: T,
) -> Result<(), ConfigError> {
    if range.contains(&got) {
        Ok(())
    } else {
        Err(wrong(key, expected, got))
    }
}

/// Labels of tokens have at most 32 bytes (PKCS #11, `CK_TOKEN_INFO`).
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

fn check_name(name: &str) -> Result<(), ConfigError> {
    let good = (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_/".contains(&byte));
    if good {
        Ok(())
    } else {
        Err(wrong(
            "station.name",
            "1 to 64 letters, digits and . - _ /",
            name.escape_debug(),
        ))
    }
}

fn check_registry(url: &str) -> Result<(), ConfigError> {
    let expected = "\"sqlite:PATH\" or a \"postgres://\" URL without a password";
    if let Some(path) = url.strip_prefix("sqlite:") {
        return if path.is_empty() {
            Err(wrong("registry.url", expected, url))
        } else {
            Ok(())
        };
    }
    let rest = url
        .strip_prefix("postgres://")
        .or_else(|| url.strip_prefix("postgresql://"))
        // A URL of an unknown kind may hold a password: it is not repeated.
        .ok_or_else(|| wrong("registry.url", expected, "another kind of URL"))?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let has_password = authority
        .rsplit_once('@')
        .is_some_and(|(user, _)| user.contains(':'));
    if has_password || rest.contains("password=") {
        return Err(wrong("registry.url", expected, "a URL with a password"));
    }
    Ok(())
}

/// A witness is asked by its submission prefix, to which `/add-checkpoint` is added.
fn check_witness_url(url: &str) -> Result<(), ConfigError> {
    let host = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"))
        .unwrap_or_default();
    let plain = |c: char| !(c.is_whitespace() || c.is_control() || c == '?' || c == '#');
    if host.is_empty() || host.starts_with('/') || !host.chars().all(plain) {
        return Err(wrong(
            "audit.witness.url",
            "an http:// or https:// URL without spaces, ? and #",
            url.escape_debug(),
        ));
    }
    Ok(())
}

/// The registry's URL with a relative SQLite path made absolute, below `home`.
#[must_use]
pub fn registry_url_in(home: &Path, url: &str) -> String {
    match url.strip_prefix("sqlite:") {
        Some(path) => {
            let path = path.strip_prefix("//").unwrap_or(path);
            format!("sqlite:{}", home.join(path).display())
        }
        None => url.to_owned(),
    }
}
