//! A new station in the place of one whose log can't be continued: its home was put back from an old copy, or its key is lost.
//!
//! The old home stays as it is, for ever read-only: what it says still verifies. The new one has an id, a log and keys of its own, and
//! its first leaves name the old log with its last checkpoint. Products and operators come along; orders do not, because the old home
//! no longer knows how many of their units were built.

use std::path::{Path, PathBuf};

use super::authority::{DEMO_KEY_FILE, root_policy, taken_over};
use super::{AppError, Created, InitOptions, TokenOptions, init};
use crate::home::{
    Home, HomeError, HomeLock, mark_replaced, read_config, write_config, write_private,
};
use crate::journal::{JournalError, JournalReader, Operator};
use crate::operator::{OperatorError, Permission, Principal, Role, Token};
use crate::record::Change;

/// How the new station is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplaceOptions {
    /// Where its home is made.
    pub new_home: PathBuf,
    /// Its name, which is its log's: not that of the old one.
    pub name: String,
    /// Why.
    pub reason: String,
    /// The token that holds the new log's key; `None` for a file.
    pub audit_token: Option<TokenOptions>,
}

/// Makes the new station and closes the old home for good. `token` is an administrator's of the old station.
///
/// # Errors
/// [`AppError`] where the old home can't be read, is owned or was replaced before, the operator may not do this, or the new home can't
/// be made.
pub async fn replace(
    old_home: &Path,
    token: &Token,
    options: ReplaceOptions,
) -> Result<Created, AppError> {
    let old_config = read_config(old_home)?;
    Home::check_not_replaced(old_home)?;
    let _owned = HomeLock::take(old_home)?;
    // Another replacement may have ended in between.
    Home::check_not_replaced(old_home)?;
    if options.name == old_config.station.name {
        return Err(JournalError::BadValue {
            expected: "a name for the new station that is not the old one's: it is the new log's",
            got: options.name,
        }
        .into());
    }
    let old = JournalReader::open(&old_home.join(&old_config.journal.path)).await?;
    let principal = administrator(&old, token).await?;
    let previous_checkpoint = old.latest_checkpoint().await?;
    // Who may say yes stays the same. A home that is older than root policies gets a demonstration's.
    let authority = match old_config.authority.root_digest {
        Some(_) => Some(root_policy(old_home, &old_config)?),
        None => None,
    };
    let created = init(
        &options.new_home,
        InitOptions {
            station_name: options.name,
            registry_url: Some(old_config.registry.url.clone()),
            slots: old_config.slots.clone(),
            audit_token: options.audit_token,
            authority: authority.clone(),
            ..InitOptions::default()
        },
    )
    .await?;
    let journal = created.app.journal();
    let mut changes = vec![Change::StationReplaced {
        previous: old_config.station.id,
        previous_origin: old_config.station.name.clone(),
        previous_checkpoint,
        operator: principal.operator.clone(),
        reason: options.reason,
    }];
    changes.extend(taken_over(&old, &principal.operator).await?);
    for product in old.products().await? {
        if product.retired_at_ms.is_none() {
            changes.push(Change::ProductAdded {
                product,
                operator: principal.operator.clone(),
            });
        }
    }
    for changes in changes.chunks(crate::journal::CHANGES_MAX) {
        journal.commit(changes.to_vec()).await?;
    }
    if authority.is_some_and(|policy| policy.is_demo()) {
        take_over_demo_key(old_home, created.app.home().path())?;
    }
    for operator in old.operators().await? {
        take_over(&created, operator).await?;
    }
    let mut config = created.app.home().config().clone();
    config.line = old_config.line;
    config.key_pool = old_config.key_pool;
    config.log = old_config.log;
    config.audit.cosignatures_min = old_config.audit.cosignatures_min;
    config.audit.ahead_leaves_max = old_config.audit.ahead_leaves_max;
    config.audit.ahead_hours_max = old_config.audit.ahead_hours_max;
    config.audit.witnesses = old_config.audit.witnesses;
    write_config(created.app.home().path(), &config)?;
    mark_replaced(old_home, created.app.home().path())?;
    Ok(created)
}

/// The old station's administrator who has this token.
async fn administrator(old: &JournalReader, token: &Token) -> Result<Principal, AppError> {
    let operator = old
        .operator_by_token(token.digest().0)
        .await?
        .ok_or(OperatorError::TokenUnknown)?;
    let role = Role::from_name(&operator.role).ok_or(OperatorError::Disabled)?;
    let principal = Principal {
        operator: operator.id,
        role,
    };
    principal.authorise(Permission::ReplaceStation)?;
    Ok(principal)
}

/// A demonstration's key goes along with its root.
fn take_over_demo_key(old_home: &Path, new_home: &Path) -> Result<(), AppError> {
    let path = old_home.join(DEMO_KEY_FILE);
    let pem = std::fs::read(&path)
        .map(zeroize::Zeroizing::new)
        .map_err(|source| HomeError::from_io(path, "read", source))?;
    write_private(&new_home.join(DEMO_KEY_FILE), &pem)?;
    Ok(())
}

/// An operator keeps id, role and token; one of the name that the new first operator has is that one.
async fn take_over(created: &Created, operator: Operator) -> Result<(), AppError> {
    match created.app.journal().add_operator(operator).await {
        Ok(_) | Err(JournalError::NameTaken { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
