//! Everything that a command works with, opened once and passed down: the home with its lock, the journal, the registry, the pool of
//! station-made keys.

mod authority;
mod cloud_keys;
mod error;
mod init;
mod log_keys;
mod recovery;
mod refusals;
mod replace;
mod slots;
mod start;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::audit::CheckpointSigners;
use crate::cosign::{CosignError, Cosigner};
use crate::home::{Home, HomeError};
use crate::journal::{InterruptedRun, Journal, JournalError, JournalReader};
use crate::key_pool::KeyPool;
use crate::operator::{OperatorError, Permission, Principal, Role, Token};
use crate::record::Change;
use crate::registry::{Registry, RegistryError};
use crate::tiles::{LogReader, Publisher, TILE_DIRECTORY, TileDirectory};

use refusals::Refusals;

pub use authority::{DEMO_KEY_FILE, bundle_accepted, root_policy};
pub use cloud_keys::Untold;
pub use error::AppError;
pub(crate) use error::REGISTRY_MISSING_NEXT;
pub use init::{Created, InitOptions, init};
pub use log_keys::{ConfiguredKey, TokenOptions, open_signer, open_signers};
pub use replace::{ReplaceOptions, replace};
pub use slots::{BusySlots, SlotGuard};

/// An open station. One in each process, and one process for each home.
pub struct App {
    home: Home,
    journal: Journal,
    publisher: Publisher,
    registry: Mutex<Option<Registry>>,
    /// Set once the registry was seen to obey this station's root, or none.
    root_checked: OnceCell<()>,
    cosigner: Cosigner,
    keys: Arc<KeyPool>,
    busy_slots: BusySlots,
    refusals: Refusals,
    exporting: Mutex<()>,
    interrupted: Vec<InterruptedRun>,
    log_keys: Vec<ConfiguredKey>,
    /// After how many outages of the log's key the runs that they left open were concluded.
    outages_concluded: Mutex<u64>,
}

impl App {
    /// Opens a home, takes ownership of it, opens its journal and finds the runs that were interrupted.
    ///
    /// # Errors
    /// [`AppError`] where one of these can't be opened.
    pub async fn open(path: &Path) -> Result<Self, AppError> {
        let mut home = Home::open(path)?;
        check_space(&home)?;
        authority::upgrade(&mut home)?;
        if let Err(error) = crate::export::clear_leftovers(home.path()) {
            tracing::error!(error = %error, "export.leftovers: what a sealed export left in the home can't be removed");
        }
        let audit_key = |source| AppError::AuditKey { source };
        let config = home.config();
        let signers = open_signers(home.path(), &config.audit)
            .await
            .map_err(audit_key)?;
        let keys = log_keys::configured(&signers, &config.audit, &config.station.name)
            .map_err(audit_key)?;
        refuse_missing_journal(&home)?;
        let journal = open_journal(&home, signers).await?;
        let registry = registry_in_reach(&home).await;
        let mut cosigner = begin_cosigning(&home, &journal, registry.clone()).await?;
        cosigner.keep_going();
        let interrupted = recovery::conclude(&journal).await?;
        start::record(&home, &journal, interrupted.len()).await?;
        Self::new(home, journal, keys, cosigner, registry, interrupted)
    }

    fn new(
        home: Home,
        journal: Journal,
        log_keys: Vec<ConfiguredKey>,
        cosigner: Cosigner,
        registry: Option<Registry>,
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
            registry: Mutex::new(registry),
            root_checked: OnceCell::new(),
            cosigner,
            keys,
            busy_slots: BusySlots::default(),
            refusals: Refusals::default(),
            exporting: Mutex::default(),
            interrupted,
            log_keys,
            outages_concluded: Mutex::default(),
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
        let registry = if let Some(registry) = &*connected {
            registry.clone()
        } else {
            self.refuse_missing_registry().await?;
            Registry::open(self.home.registry_address()?).await?
        };
        // It may have been connected when the home was opened, to keep the log's checkpoints.
        let checked = self
            .root_checked
            .get_or_try_init(|| self.refuse_other_root(&registry));
        checked.await?;
        if connected.is_none() {
            *connected = Some(registry.clone());
            self.cosigner.with_registry(&registry).await;
        }
        Ok(registry)
    }

    /// An empty registry is made for a new station only, never in the place of one that got lost.
    async fn refuse_missing_registry(&self) -> Result<(), AppError> {
        let url = &self.home.config().registry.url;
        let Some(path) = crate::home::missing_registry_file(self.home.path(), url) else {
            return Ok(());
        };
        match self.journal.pinned_count().await? {
            0 => Ok(()),
            pinned => Err(AppError::RegistryMissing { path, pinned }),
        }
    }

    /// A registry that obeys another root is another company's, or this home is a demonstration's. One that is out of reach is asked the
    /// next time that a home is opened.
    async fn refuse_other_root(&self, registry: &Registry) -> Result<(), AppError> {
        let asked = tokio::time::timeout(REGISTRY_PATIENCE, registry.root_policy()).await;
        match asked {
            Ok(Ok(Some(root))) => {
                let ours = self.root_policy()?;
                if root.digest() == ours.digest() {
                    return Ok(());
                }
                Err(AppError::OtherRoot {
                    registry: root.name().to_string(),
                    ours: ours.name().to_string(),
                })
            }
            Ok(Ok(None)) | Err(_) => Ok(()),
            Ok(Err(error)) if error.is_temporary() => Ok(()),
            Ok(Err(error)) => Err(error.into()),
        }
    }

    /// Who has the log's checkpoints cosigned.
    #[must_use]
    pub const fn cosigner(&self) -> &Cosigner {
        &self.cosigner
    }

    /// How many leaves the latest checkpoint covers that has the cosignatures which the configuration asks for; `None` where none has
    /// them, or none are asked for.
    ///
    /// # Errors
    /// [`AppError`] where the journal can't say.
    pub async fn witnessed_size(&self) -> Result<Option<u64>, AppError> {
        Ok(self.cosigner.witnessed_size().await?)
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

    /// Waits until no other export is being made; none begins while this is held.
    pub async fn export_turn(&self) -> MutexGuard<'_, ()> {
        self.exporting.lock().await
    }

    /// The runs that were found interrupted when the home was opened, but for those whose unit a later run has taken over.
    #[must_use]
    pub fn interrupted(&self) -> &[InterruptedRun] {
        &self.interrupted
    }

    /// The keys for the audit log that the configuration names. Which of them sign, the journal says.
    #[must_use]
    pub fn log_keys(&self) -> &[ConfiguredKey] {
        &self.log_keys
    }

    /// Where the log's key was out of reach since this was last asked, concludes the runs that were left open then, as [`open`](Self::open)
    /// does with those that a process left behind. Gives the runs of which a person should hear.
    ///
    /// # Errors
    /// [`AppError::Journal`] where the journal fails, or its key is still out of reach.
    pub async fn conclude_after_outage(&self) -> Result<Vec<InterruptedRun>, AppError> {
        let mut concluded = self.outages_concluded.lock().await;
        let outages = self.journal.outages();
        if *concluded == outages {
            return Ok(Vec::new());
        }
        let interrupted = recovery::conclude(&self.journal).await?;
        *concluded = outages;
        Ok(interrupted)
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

    /// Who has this token, if he may do this. A refusal goes into the log before it is told; `request` is the name of what was asked.
    ///
    /// # Errors
    /// [`OperatorError`] where there is no token, nobody has it or his role forbids it, [`AppError`] where the journal can't say.
    pub async fn authorise(
        &self,
        token: Option<&Token>,
        permission: Permission,
        request: &str,
    ) -> Result<Principal, AppError> {
        let known = match token {
            Some(token) => self.principal(token).await,
            None => Err(OperatorError::TokenMalformed.into()),
        };
        let operator = known.as_ref().ok().map(|known| known.operator.clone());
        let allowed = known.and_then(|known| {
            known.authorise(permission)?;
            Ok(known)
        });
        if matches!(allowed, Err(AppError::Operator(_)))
            && let Some(refusal) = self.refusals.tell(operator, request)
        {
            self.journal.commit(vec![refusal]).await?;
        }
        allowed
    }

    /// Lets go of the home in good order.
    ///
    /// # Errors
    /// [`AppError::Journal`] where the journal can't be closed.
    pub async fn close(self) -> Result<(), AppError> {
        // Where the last leaf can't be signed, what was committed before is put in order all the same.
        let stopped = self.journal.commit(vec![Change::Stopped]).await;
        self.cosigner.end().await;
        self.publisher.close().await;
        if let Some(registry) = self.registry.into_inner() {
            registry.close().await;
        }
        self.journal.close().await?;
        stopped?;
        Ok(())
    }
}

/// How long the registry may take before a home is opened without it.
const REGISTRY_PATIENCE: Duration = Duration::from_secs(3);

/// The registry, where there is one and it answers at once: it keeps the log's checkpoints. A line asks for it again when it needs it.
async fn registry_in_reach(home: &Home) -> Option<Registry> {
    let url = home.registry_url();
    if let Some(path) = url.strip_prefix("sqlite:")
        && !Path::new(path).exists()
    {
        return None;
    }
    let reached = async {
        let registry = Registry::open(home.registry_address()?).await?;
        registry.ping().await?;
        Ok::<_, RegistryError>(registry)
    };
    match tokio::time::timeout(REGISTRY_PATIENCE, reached).await {
        Ok(Ok(registry)) => Some(registry),
        Ok(Err(error)) => {
            tracing::warn!(registry.error = %crate::error_text::chain(&error), "the registry does not keep the log's checkpoints now");
            None
        }
        Err(_) => {
            tracing::warn!(
                "the registry does not answer, and does not keep the log's checkpoints now"
            );
            None
        }
    }
}

/// Shows the log to its witnesses before anything is written to it.
async fn begin_cosigning(
    home: &Home,
    journal: &Journal,
    registry: Option<Registry>,
) -> Result<Cosigner, CosignError> {
    let log = LogReader::new(
        TileDirectory::new(home.path().join(TILE_DIRECTORY)),
        JournalReader::clone(journal),
    );
    let config = &home.config().audit;
    let station = home.station();
    Cosigner::begin(home.path(), journal, log, config, station, registry).await
}

/// A home is made with its journal: a new one in its place would be another log under the same name.
fn refuse_missing_journal(home: &Home) -> Result<(), JournalError> {
    let path = home.resolve(&home.config().journal.path);
    if path.exists() {
        Ok(())
    } else {
        Err(JournalError::Missing { path })
    }
}

async fn open_journal(home: &Home, signers: CheckpointSigners) -> Result<Journal, AppError> {
    let path = home.resolve(&home.config().journal.path);
    Ok(Journal::open(&path, signers, &home.config().station.name).await?)
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
