//! Makes a station's home: keys, journal, first operator, configuration.

use std::path::{Path, PathBuf};

use super::log_keys::{self, TokenOptions, open_signers};
use super::{App, AppError, authority, begin_cosigning};
use crate::authority::RootPolicy;
use crate::home::{Config, NewHome, SlotConfig, write_private};
use crate::journal::{Journal, Operator};
use crate::operator::{Role, Token, new_operator_id};
use crate::record::{Change, StationId};

/// What a new station is like; everything else is in its configuration and can be changed there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitOptions {
    /// What people call the station; also the origin line of its audit log, for ever.
    pub station_name: String,
    /// The first operator's name.
    pub operator_name: String,
    /// The registry's URL; `None` for a database in the home.
    pub registry_url: Option<String>,
    /// The fixture positions.
    pub slots: Vec<SlotConfig>,
    /// The token that keeps the audit log's key; `None` for a file in the home, which is good for demonstrations only.
    pub audit_token: Option<TokenOptions>,
    /// Who may say yes; `None` for a demonstration's root, whose key is made in the home.
    pub authority: Option<RootPolicy>,
}

impl Default for InitOptions {
    fn default() -> Self {
        Self {
            station_name: "station-1".to_owned(),
            operator_name: "administrator".to_owned(),
            registry_url: None,
            slots: Vec::new(),
            audit_token: None,
            authority: None,
        }
    }
}

/// A new station, open.
pub struct Created {
    /// The station.
    pub app: App,
    /// The file with the first operator's token.
    pub token_file: PathBuf,
}

/// Makes a home and opens it. The configuration is written last: a home that has one is whole, and one that hasn't is begun anew.
///
/// # Errors
/// [`AppError`] where there is a home already or a part can't be made.
pub async fn init(path: &Path, options: InitOptions) -> Result<Created, AppError> {
    let mut config = Config::new(StationId::generate(), &options.station_name);
    if let Some(url) = options.registry_url {
        config.registry.url = url;
    }
    config.slots = options.slots;
    config.validate(path)?;

    let home = NewHome::begin(path)?;
    let audit_key = |source| AppError::AuditKey { source };
    let (audit, origin) = (&mut config.audit, config.station.name.as_str());
    log_keys::make(home.path(), audit, config.station.id, options.audit_token)
        .await
        .map_err(audit_key)?;
    let policy = authority::begin(home.path(), options.authority)?;
    let digest = authority::store(home.path(), &policy)?;
    config.authority.root_digest = Some(hex::encode(digest));
    // A configuration that its reader would refuse must not be found out when everything else is made.
    config.validate(home.path())?;
    let signers = open_signers(home.path(), &config.audit)
        .await
        .map_err(audit_key)?;
    let keys = log_keys::configured(&signers, &config.audit, origin).map_err(audit_key)?;
    let journal_path = home.path().join(&config.journal.path);
    let journal = Journal::open(&journal_path, signers, origin).await?;
    let initialised = Change::HomeInitialised {
        station: config.station.id,
    };
    journal.commit(vec![initialised]).await?;

    let token = Token::generate();
    journal
        .add_operator(Operator {
            id: new_operator_id(),
            name: options.operator_name,
            role: Role::Administrator.name().to_owned(),
            token_sha256: token.digest().0,
            added_at_ms: crate::clock::wall_ms(),
        })
        .await?;
    let token_file = home.path().join(&config.operator.token_file);
    write_private(&token_file, format!("{}\n", token.expose()).as_bytes())?;
    let home = home.finish(config)?;
    let cosigner = begin_cosigning(&home, &journal, None).await?;
    Ok(Created {
        app: App::new(home, journal, keys, cosigner, None, Vec::new())?,
        token_file,
    })
}
