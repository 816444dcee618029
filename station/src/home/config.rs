//! The station's configuration, `config.toml`: one struct a concern. The comments of the fields are the manual.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use keyline_protocol::identity::Algorithm;
use serde::{Deserialize, Serialize};

use super::audit_config::AuditConfig;
use super::error::{ConfigError, HomeError};
use super::link_selector::LinkSelector;
use crate::record::StationId;
use crate::registry::{RegistryAddress, RegistryError, RegistryFiles};

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
    /// Who may say yes.
    #[serde(default)]
    pub authority: AuthorityConfig,
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
    /// `sqlite:PATH` with a path relative to the home, or `postgres://ROLE@HOST[:PORT][,HOST…]/DATABASE`: never with a password. Of
    /// several servers the one that takes writes is used.
    pub url: String,
    /// The certificates of the authorities that may have signed the server's certificate, PEM, relative to the home. Its name is checked
    /// too. Only a server on this machine needs none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// This station's own certificate, PEM, relative to the home: how the server knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_file: Option<PathBuf>,
    /// The certificate's private key, PEM, mode 0600, relative to the home.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// A password, the first line of a file of mode 0600, relative to the home; where the server wants one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
}

impl RegistryConfig {
    /// The registry's address; relative paths are below `home`.
    ///
    /// # Errors
    /// [`RegistryError`] where the address is none, or one of its files can't be read.
    pub fn address(&self, home: &Path) -> Result<RegistryAddress, RegistryError> {
        let below = |path: &Option<PathBuf>| path.as_ref().map(|path| home.join(path));
        let files = RegistryFiles {
            ca: below(&self.ca_file),
            certificate: below(&self.certificate_file),
            key: below(&self.key_file),
            password: below(&self.password_file),
        };
        RegistryAddress::new(&registry_url_in(home, &self.url), &files)
    }
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            url: "sqlite:registry.sqlite".to_owned(),
            ca_file: None,
            certificate_file: None,
            key_file: None,
            password_file: None,
        }
    }
}

/// `[authority]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthorityConfig {
    /// SHA-256 of the root policy, 64 hexadecimal digits: only bundles that its keys signed count. Set by `init`; changed by
    /// `keyline authority replace-root`, which the old root's keys must have signed. The policy itself lies in `authority/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_digest: Option<String>,
}

impl AuthorityConfig {
    fn check(&self) -> Result<(), ConfigError> {
        let Some(digest) = &self.root_digest else {
            return Ok(());
        };
        let mut bytes = [0; 32];
        match hex::decode_to_slice(digest, &mut bytes) {
            Ok(()) if hex::encode(bytes) == *digest => Ok(()),
            _ => Err(wrong(
                "authority.root_digest",
                "64 lower-case hexadecimal digits",
                digest.escape_debug(),
            )),
        }
    }
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
            authority: AuthorityConfig::default(),
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
        self.audit.check()?;
        self.authority.check()?;
        self.check_slots()
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

pub(super) fn wrong(key: &str, expected: &'static str, got: impl std::fmt::Display) -> ConfigError {
    ConfigError::Value {
        key: key.to_owned(),
        expected,
        got: format!("\"{got}\""),
    }
}

pub(super) fn within<T: PartialOrd + std::fmt::Display>(
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

/// The file of a `SQLite` registry, where it is not there.
pub(crate) fn missing_registry_file(home: &Path, url: &str) -> Option<PathBuf> {
    let url = registry_url_in(home, url);
    let path = url.strip_prefix("sqlite:")?;
    let path = PathBuf::from(path.split('?').next().unwrap_or(path));
    (!path.exists()).then_some(path)
}
