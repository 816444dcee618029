//! `keyline registry migrate` and `status`: the registry's database as its owner sees it.

use std::path::Path;
use std::time::Instant;

use super::CommandError;
use super::execute::elapsed_ms;
use super::registry_arguments::SchemaCommand;
use crate::event::{Event, EventSink, RegistryView, Summary};
use crate::exit::ExitCode;
use crate::home;
use crate::registry::{self, RegistryAddress, RegistryError, RegistryFiles, RegistryStatus};

/// What is wanted of a registry's database.
pub(super) enum RegistryRequest {
    /// Bring its schema up to date.
    Migrate {
        /// The registry.
        url: String,
        /// How one shows who one is.
        files: RegistryFiles,
    },
    /// Look at it.
    Status {
        /// The registry; that of the home where none is named.
        url: Option<String>,
        /// How one shows who one is.
        files: RegistryFiles,
    },
}

impl From<SchemaCommand> for RegistryRequest {
    fn from(command: SchemaCommand) -> Self {
        match command {
            SchemaCommand::Migrate { registry, files } => Self::Migrate {
                url: registry,
                files: files.into(),
            },
            SchemaCommand::Status { registry, files } => Self::Status {
                url: registry,
                files: files.into(),
            },
        }
    }
}

/// Does what is wanted.
pub(super) async fn run(
    request: RegistryRequest,
    home: &Path,
    sink: &dyn EventSink,
) -> Result<Summary, CommandError> {
    let begun = Instant::now();
    let (address, schema_before) = match request {
        RegistryRequest::Migrate { url, files } => {
            let address = RegistryAddress::new(&url, &files)?;
            let migrated = registry::migrate(address.clone()).await?;
            (address, Some(migrated.from))
        }
        RegistryRequest::Status { url, files } => {
            let address = match url {
                Some(url) => RegistryAddress::new(&url, &files)?,
                None => home::read_config(home)?.registry.address(home)?,
            };
            (address, None)
        }
    };
    let status = registry::status(address.clone()).await?;
    let verdict = verdict(&status);
    warn(&status, sink);
    sink.emit(Event::Registry(Box::new(RegistryView {
        address: address.to_string(),
        status,
        schema_before,
    })));
    verdict?;
    Ok(Summary::without_units(ExitCode::Success, elapsed_ms(begun)))
}

/// What of it works, but should be looked at.
fn warn(status: &RegistryStatus, sink: &dyn EventSink) {
    if status.waits_for.as_deref() == Some("") {
        sink.emit(Event::Warning {
            message: "the server that takes writes waits for no standby: what it acknowledges now would be lost with it".to_owned(),
            next: "Bring the standby back, or switch synchronous replication on (docs/OPERATIONS.md).".to_owned(),
        });
    }
    if let Some(station) = status
        .station
        .as_ref()
        .filter(|one| one.retired_at_ms.is_some())
    {
        sink.emit(Event::Warning {
            message: format!("the station {} is retired: it enters nothing", station.name),
            next: "Use the station that took its place.".to_owned(),
        });
    }
}

/// Whether this software, as this role, can work with it.
fn verdict(status: &RegistryStatus) -> Result<(), CommandError> {
    let error = match status.schema {
        _ if status.rights.is_empty() => {
            return Err(CommandError::NotReady {
                message: format!(
                    "expected the role of a station, a key administrator, an auditor or the owner, {} is none",
                    status.role.as_deref().unwrap_or("this one")
                ),
                next: "Have the owner of the registry grant it one of the roles, or enrol the station (docs/OPERATIONS.md).".to_owned(),
            });
        }
        None => RegistryError::NoSchema {
            expected: status.schema_min,
            found: 0,
        },
        Some(_) if status.min_client > status.client => RegistryError::TooNew {
            needed: status.min_client,
            ours: status.client,
        },
        Some(found) if found < status.schema_min => RegistryError::NoSchema {
            expected: status.schema_min,
            found,
        },
        Some(_) if !status.roles_made => {
            return Err(CommandError::NotReady {
                message: "expected the roles and policies of the registry, found none: a migration was cut off".to_owned(),
                next: "Have the owner of the registry run `keyline registry migrate` again.".to_owned(),
            });
        }
        Some(_) => return Ok(()),
    };
    Err(error.into())
}
