//! A station's home: one directory that holds everything the station knows.
//!
//! ```text
//! HOME/                       0700
//!   config.toml               0600  the configuration; written last by `init`, so that a home that has one is whole
//!   keyline.lock              0600  locked by the process that owns the home; holds its process id
//!   keyline.sock              0600  the owner listens here for the commands of others
//!   journal.sqlite (-wal,-shm) 0600 runs, evidence, operators, audit leaves
//!   registry.sqlite (…)       0600  pins, where the registry is the embedded one
//!   keys/audit.pem            0600  the key that signs checkpoints
//!   keys/operator.token       0600  the first operator's token
//!   keys/demo-authority.pem   0600  signs products, where the authority is a demonstration's
//!   authority/DIGEST.policy   0600  the root policy whose digest the configuration pins
//!   tlog/                      0700 the audit log's tree as others can read it; made from the journal, and made anew where it is lost
//!   log/keyline.DATE.jsonl    0600  what happened, for people who look for a fault; never a secret
//! ```
//!
//! Holding a [`Home`] proves that this process owns the directory, that nobody else can look into it, and that the configuration is
//! one that can work.

mod audit_config;
mod config;
mod error;
mod files;
mod link_selector;
mod lock;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::record::StationId;
use crate::registry::{RegistryAddress, RegistryError};

pub use audit_config::{AuditConfig, LogKeyConfig, WitnessConfig};
pub(crate) use config::missing_registry_file;
pub use config::{
    AuthorityConfig, Config, JournalConfig, KeyPoolConfig, LineConfig, LogConfig, OperatorConfig,
    RegistryConfig, SLOTS_MAX, SlotConfig, StationConfig, registry_url_in,
};
pub use error::{ConfigError, HomeError};
pub(crate) use files::{check_private_directory, create_private_directory, free_space};
pub use files::{check_private_file, write_private};
pub use link_selector::{LinkSelector, LinkSelectorError};
pub use lock::HomeLock;
pub(crate) use lock::LOCK_FILE;

/// The configuration's file name.
pub const CONFIG_FILE: &str = "config.toml";

/// The socket's file name.
pub const SOCKET_FILE: &str = "keyline.sock";

/// Stands in a home that another station has replaced; holds the path of that one's home.
const REPLACED_FILE: &str = "replaced";

/// Stands in a home whose log somebody outside disputes; holds what he said.
const DISPUTED_FILE: &str = "disputed";

/// The longest words of a dispute that are read, in bytes.
const DISPUTE_LENGTH_MAX: u64 = 4_096;

/// Stands in a home from the first to the last moment of its making.
const UNFINISHED_FILE: &str = "unfinished";

/// An open home, owned by this process until it is dropped.
pub struct Home {
    path: PathBuf,
    config: Config,
    lock: HomeLock,
}

impl Home {
    /// Opens a home and takes ownership of it.
    ///
    /// # Errors
    /// [`HomeError`]: there is none, another process owns it, others can look into it, it can't be written, its configuration is wrong.
    pub fn open(path: &Path) -> Result<Self, HomeError> {
        let path = existing(path)?;
        files::check_private_directory(&path)?;
        Self::check_not_replaced(&path)?;
        let lock = HomeLock::take(&path)?;
        // Whoever owned it until now may have closed it for good.
        Self::check_not_replaced(&path)?;
        check_not_disputed(&path)?;
        let config = read_config(&path)?;
        let token_file = config.operator.token_file.as_path();
        for file in config.audit.key_files().chain([token_file]) {
            let file = path.join(file);
            if file.exists() {
                check_private_file(&file)?;
            }
        }
        Ok(Self { path, config, lock })
    }

    /// Checks that no other station has taken the place of this one.
    ///
    /// # Errors
    /// [`HomeError::Replaced`] with the other one's home.
    pub fn check_not_replaced(path: &Path) -> Result<(), HomeError> {
        match std::fs::read_to_string(path.join(REPLACED_FILE)) {
            Ok(by) => Err(HomeError::Replaced {
                path: path.to_owned(),
                by: by.trim().into(),
            }),
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(HomeError::from_io(path.join(REPLACED_FILE), "read", source)),
        }
    }

    /// The directory, absolute.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The configuration.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Who this station is.
    #[must_use]
    pub const fn station(&self) -> StationId {
        self.config.station.id
    }

    /// Pins a root in the configuration of a home that has none.
    ///
    /// # Errors
    /// As [`pin_root`].
    pub fn pin_root(&mut self, digest: &[u8; 32]) -> Result<(), HomeError> {
        self.config = pin_root(&self.path, digest)?;
        Ok(())
    }

    /// A path from the configuration, which may be relative to the home.
    #[must_use]
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.path.join(path)
    }

    /// The registry's URL, absolute.
    #[must_use]
    pub fn registry_url(&self) -> String {
        registry_url_in(&self.path, &self.config.registry.url)
    }

    /// The registry's address.
    ///
    /// # Errors
    /// [`RegistryError`] where it is none, or one of its files can't be read.
    pub fn registry_address(&self) -> Result<RegistryAddress, RegistryError> {
        self.config.registry.address(&self.path)
    }

    /// The owner's lock.
    #[must_use]
    pub const fn lock(&self) -> &HomeLock {
        &self.lock
    }

    /// Free space on the home's disk, in bytes.
    ///
    /// # Errors
    /// [`HomeError`] where the system doesn't say.
    pub fn free_space(&self) -> Result<u64, HomeError> {
        files::free_space(&self.path)
    }
}

/// A home that is being made: a directory of its own, locked, without a configuration yet.
///
/// Where the making stops in the middle, the next one begins anew: nothing can have been provisioned with a home that isn't whole.
pub struct NewHome {
    path: PathBuf,
    lock: HomeLock,
}

impl NewHome {
    /// Makes or takes an empty directory, private to this user.
    ///
    /// # Errors
    /// [`HomeError`]: there is a home already, the directory has other things in it, it can't be written.
    pub fn begin(path: &Path) -> Result<Self, HomeError> {
        files::create_private_directory(path)?;
        let path = existing(path)?;
        if path.join(CONFIG_FILE).exists() {
            return Err(HomeError::Exists { path });
        }
        let unfinished = path.join(UNFINISHED_FILE);
        if !unfinished.exists() {
            files::check_empty(&path)?;
            write_private(
                &unfinished,
                b"This home is being made. Run `keyline init` again.\n",
            )?;
        }
        let lock = HomeLock::take(&path)?;
        files::clear(&path, &[UNFINISHED_FILE, lock::LOCK_FILE])?;
        for directory in ["keys", "log", "authority"] {
            files::create_private_directory(&path.join(directory))?;
        }
        Ok(Self { path, lock })
    }

    /// The directory, absolute.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the configuration, last: from now on this is a home.
    ///
    /// # Errors
    /// [`HomeError`] where it can't be written.
    pub fn finish(self, config: Config) -> Result<Home, HomeError> {
        write_config(&self.path, &config)?;
        files::remove(&self.path.join(UNFINISHED_FILE))?;
        Ok(Home {
            path: self.path,
            config,
            lock: self.lock,
        })
    }
}

/// The directory as an absolute path, or [`HomeError::Missing`].
fn existing(path: &Path) -> Result<PathBuf, HomeError> {
    match path.canonicalize() {
        Ok(path) => Ok(path),
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Err(HomeError::Missing {
            path: path.to_owned(),
        }),
        Err(source) => Err(HomeError::from_io(path, "opened", source)),
    }
}

/// Reads the configuration of a home without owning it.
///
/// # Errors
/// [`HomeError`] where there is none or it is wrong.
pub fn read_config(path: &Path) -> Result<Config, HomeError> {
    let file = path.join(CONFIG_FILE);
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => {
            return Err(HomeError::Missing {
                path: path.to_owned(),
            });
        }
        Err(source) => return Err(HomeError::from_io(file, "read", source)),
    };
    check_private_file(&file)?;
    Config::parse(&text).map_err(|source| HomeError::Config { path: file, source })
}

/// Replaces the configuration: whole and on disk, or not at all.
///
/// # Errors
/// [`HomeError`] where it can't be written, or would be refused when it is read.
pub fn write_config(home: &Path, config: &Config) -> Result<(), HomeError> {
    let text = config_text(home, config)?;
    write_private(&home.join(CONFIG_FILE), text.as_bytes())
}

/// A configuration as this software writes it: every value, in a fixed order, no comments.
///
/// # Errors
/// [`HomeError::Config`] where it would be refused when it is read.
pub fn config_text(home: &Path, config: &Config) -> Result<String, HomeError> {
    let text = toml::to_string(config).map_err(|error| ConfigError::Syntax {
        message: error.to_string(),
    });
    text.and_then(|text| Config::parse(&text).map(|_| text))
        .map_err(|source| HomeError::Config {
            path: home.join(CONFIG_FILE),
            source,
        })
}

/// Pins another root in the configuration, and leaves the rest of the file as people wrote it: whole and on disk, or not at all.
///
/// # Errors
/// [`HomeError`] where it can't be read or written.
pub fn pin_root(home: &Path, digest: &[u8; 32]) -> Result<Config, HomeError> {
    let path = home.join(CONFIG_FILE);
    let text = std::fs::read_to_string(&path)
        .map_err(|source| HomeError::from_io(&path, "read", source))?;
    let parse = |text: &str| {
        Config::parse(text).map_err(|source| HomeError::Config {
            path: path.clone(),
            source,
        })
    };
    let pinned = hex::encode(digest);
    let line = format!("[authority]\nroot_digest = \"{pinned}\"\n");
    let before = parse(&text)?.authority.root_digest;
    let text = if let Some(before) = before {
        text.replace(&before, &pinned)
    } else if text.contains("[authority]\n") {
        text.replacen("[authority]\n", &line, 1)
    } else {
        format!("{text}\n{line}")
    };
    let config = parse(&text)?;
    write_private(&path, text.as_bytes())?;
    Ok(config)
}

/// Closes a home for good: another station has taken its place.
///
/// # Errors
/// [`HomeError`] where that can't be written.
pub fn mark_replaced(home: &Path, by: &Path) -> Result<(), HomeError> {
    let text = format!("{}\n", by.display());
    write_private(&home.join(REPLACED_FILE), text.as_bytes())
}

/// Closes a home until its log is cleared up: somebody outside has seen another one of its name, or more of it. The words outlast the
/// process that heard them.
///
/// # Errors
/// [`HomeError`] where that can't be written.
pub fn mark_disputed(home: &Path, cause: &str) -> Result<(), HomeError> {
    let path = home.join(DISPUTED_FILE);
    // The first words stay: what comes after may follow from them.
    if path.exists() {
        return Ok(());
    }
    write_private(&path, format!("{cause}\n").as_bytes())
}

fn check_not_disputed(home: &Path) -> Result<(), HomeError> {
    let path = home.join(DISPUTED_FILE);
    let mut bytes = Vec::new();
    let read = std::fs::File::open(&path)
        .and_then(|file| file.take(DISPUTE_LENGTH_MAX).read_to_end(&mut bytes));
    match read {
        Ok(_) => Err(HomeError::Disputed {
            cause: String::from_utf8_lossy(&bytes).trim().to_owned(),
            path,
        }),
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(HomeError::from_io(path, "read", source)),
    }
}

/// Where a home is looked for when no `--home` is given: `$XDG_STATE_HOME/keyline`, else `/var/lib/keyline`.
#[must_use]
pub fn default_path() -> PathBuf {
    std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|state| state.is_absolute())
        .map_or_else(
            || PathBuf::from("/var/lib/keyline"),
            |state| state.join("keyline"),
        )
}
