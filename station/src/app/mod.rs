//! Everything that a command works with, opened once and passed down: the home with its lock, the journal, the registry, the pool of
//! station-made keys.

mod error;
mod init;
mod recovery;
mod slots;

use std::path::Path;
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::audit::{AuditError, CheckpointSigner, FileSigner};
use crate::home::{AuditConfig, Home, HomeError, LogKeyConfig};
use crate::journal::{InterruptedRun, Journal};
use crate::key_pool::KeyPool;
use crate::operator::{OperatorError, Permission, Principal, Role, Token};
use crate::record::Change;
use crate::registry::{Registry, RegistryError};
use crate::tiles::{Publisher, TILE_DIRECTORY, TileDirectory};

pub use error::AppError;
pub use init::{Created, InitOptions, init};
pub use slots::{BusySlots, SlotGuard};

/// An open station. One in each process, and one process for each home.
pub struct App {
    home: Home,
    journal: Journal,
    publisher: Publisher,
    registry: Mutex<Option<Registry>>,
    keys: Arc<KeyPool>,
    busy_slots: BusySlots,
    interrupted: Vec<InterruptedRun>,
}

impl App {
    /// Opens a home, takes ownership of it, opens its journal and finds the runs that were interrupted.
    ///
    /// # Errors
    /// [`AppError`] where one of these can't be opened.
    pub async fn open(path: &Path) -> Result<Self, AppError> {
        let home = Home::open(path)?;
        check_space(&home)?;
        let signer = open_signer(home.path(), &home.config().audit)
            .map_err(|source| AppError::AuditKey { source })?;
        let journal = open_journal(&home, signer).await?;
        let interrupted = recovery::conclude(&journal).await?;
        let started = Change::Started {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            boot_id: boot_id(),
            interrupted_runs: u32::try_from(interrupted.len()).unwrap_or(u32::MAX),
        };
        journal.commit(vec![started]).await?;
        Self::new(home, journal, interrupted)
    }

    fn new(
        home: Home,
        journal: Journal,
        interrupted: Vec<InterruptedRun>,
    ) -> Result<Self, AppError> {
        let keys = Arc::new(KeyPool::new(home.config().key_pool.threads)?);
        let directory = TileDirectory::new(home.path().join(TILE_DIRECTORY));
        let free_space_min = home.config().line.free_space_min_mib;
        let publisher = Publisher::start(
            &journal,
            directory,
            free_space_min.saturating_mul(1024 * 1024),
        );
        Ok(Self {
            home,
            journal,
            publisher,
            registry: Mutex::default(),
            keys,
            busy_slots: BusySlots::default(),
            interrupted,
        })
    }

    /// The home.
    #[must_use]
    pub const fn home(&self) -> &Home {
        &self.home
    }

    /// The journal.
    #[must_use]
    pub const fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Who publishes the audit log's tree.
    #[must_use]
    pub const fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    /// The registry; connected when it is first asked for, and tried again after a failure.
    ///
    /// # Errors
    /// [`AppError::Registry`] where it can't be reached.
    pub async fn registry(&self) -> Result<Registry, AppError> {
        let mut connected = self.registry.lock().await;
        if let Some(registry) = &*connected {
            return Ok(registry.clone());
        }
        let url = self.home.registry_url();
        let registry = connect(url).await?;
        *connected = Some(registry.clone());
        Ok(registry)
    }

    /// The pool of station-made keys; empty until somebody asks it to keep some.
    #[must_use]
    pub const fn keys(&self) -> &Arc<KeyPool> {
        &self.keys
    }

    /// The slots in which units are being run.
    #[must_use]
    pub const fn busy_slots(&self) -> &BusySlots {
        &self.busy_slots
    }

    /// The runs that were found interrupted when the home was opened, but for those whose unit a later run has taken over.
    #[must_use]
    pub fn interrupted(&self) -> &[InterruptedRun] {
        &self.interrupted
    }

    /// Who has this token.
    ///
    /// # Errors
    /// [`OperatorError`] where nobody has it, [`AppError`] where the journal can't say.
    pub async fn principal(&self, token: &Token) -> Result<Principal, AppError> {
        let operator = self
            .journal
            .operator_by_token(token.digest().0)
            .await?
            .ok_or(OperatorError::TokenUnknown)?;
        let role = Role::from_name(&operator.role).ok_or(OperatorError::Disabled)?;
        Ok(Principal {
            operator: operator.id,
            role,
        })
    }

    /// Who has this token, if he may do this.
    ///
    /// # Errors
    /// [`OperatorError`] where nobody has it or his role forbids it, [`AppError`] where the journal can't say.
    pub async fn authorise(
        &self,
        token: &Token,
        permission: Permission,
    ) -> Result<Principal, AppError> {
        let principal = self.principal(token).await?;
        principal.authorise(permission)?;
        Ok(principal)
    }

    /// Lets go of the home in good order.
    ///
    /// # Errors
    /// [`AppError::Journal`] where the journal can't be closed.
    pub async fn close(self) -> Result<(), AppError> {
        if let Some(registry) = self.registry.into_inner() {
            registry.close().await;
        }
        self.journal.commit(vec![Change::Stopped]).await?;
        self.publisher.close().await;
        self.journal.close().await?;
        Ok(())
    }
}

/// Opens the key that signs checkpoints, as the configuration names it.
///
/// # Errors
/// [`AuditError`] where it can't be used, or is none.
pub fn open_signer(home: &Path, config: &AuditConfig) -> Result<CheckpointSigner, AuditError> {
    match config.keys.first() {
        Some(LogKeyConfig::File { path }) => {
            FileSigner::open(&home.join(path)).map(CheckpointSigner::File)
        }
        None => Err(AuditError::Format {
            expected: "a key that signs the audit log in the configuration",
            got: "none".to_owned(),
        }),
    }
}

/// On a thread of its own: the compiler can't prove that a migration may move between threads while it runs.
async fn connect(url: String) -> Result<Registry, RegistryError> {
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || runtime.block_on(Registry::connect(&url)))
        .await
        .unwrap_or(Err(RegistryError::Closed))
}

async fn open_journal(home: &Home, signer: CheckpointSigner) -> Result<Journal, AppError> {
    let path = home.resolve(&home.config().journal.path);
    Ok(Journal::open(&path, signer, &home.config().station.name).await?)
}

/// A journal that runs out of space in the middle of a unit stops the line: better not begin.
fn check_space(home: &Home) -> Result<(), AppError> {
    let expected_mib = home.config().line.free_space_min_mib;
    let got_mib = home.free_space()? / (1024 * 1024);
    if got_mib < expected_mib {
        return Err(AppError::Space {
            path: home.path().to_owned(),
            expected_mib,
            got_mib,
        });
    }
    Ok(())
}

/// The kernel's boot id, so that an auditor can tell one uptime from the next; empty where the kernel has none.
fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

impl From<OperatorError> for AppError {
    fn from(source: OperatorError) -> Self {
        Self::Operator(source)
    }
}

impl From<HomeError> for AppError {
    fn from(source: HomeError) -> Self {
        Self::Home(source)
    }
}
