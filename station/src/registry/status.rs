//! What a registry's database is, and whom it takes one for: for whoever sets it up or looks why it refuses.

use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Connection as _, FromRow, Row as _};

use super::RegistryError;
use super::address::{Engine, RegistryAddress};
use super::connections::{Connections, within};
use super::question::{id, undecodable};
use super::schema::{self, CLIENT, SCHEMA_MIN};
use super::store;
use crate::record::StationId;

const DOING: &str = "asking what the database is";

/// What a registry's database is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryStatus {
    /// `SQLite` or `PostgreSQL`.
    pub engine: String,
    /// The version of the database's software.
    pub server_version: String,
    /// Which server answered, as it knows itself; `None` for a file.
    pub server: Option<String>,
    /// Of the servers in the address: how many standbys a commit waits for, as PostgreSQL's `synchronous_standby_names` has it. Empty
    /// where it waits for none; `None` where the address names one server only.
    pub waits_for: Option<String>,
    /// The number of the last migration; `None` where there is no schema.
    pub schema: Option<i64>,
    /// The oldest version of the software that may write; 0 where there is no schema.
    pub min_client: i64,
    /// The version of this software.
    pub client: i64,
    /// The oldest schema that this software can use.
    pub schema_min: i64,
    /// Whether roles and policies are there, without which a server's migration was not finished. Always so for a file.
    pub roles_made: bool,
    /// The role that has logged in; `None` for a file.
    pub role: Option<String>,
    /// What it is: `owner`, `station`, `key administrator`, `auditor`; none of them where it may do nothing.
    pub rights: Vec<String>,
    /// The station whose role it is.
    pub station: Option<RegistryStation>,
}

/// The station that has logged in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryStation {
    /// Its id.
    pub id: StationId,
    /// What people call it.
    pub name: String,
    /// When it was retired, in milliseconds since 1970, if it was.
    pub retired_at_ms: Option<u64>,
}

impl FromRow<'_, AnyRow> for RegistryStation {
    fn from_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let retired: Option<i64> = row.try_get("retired_at_ms")?;
        Ok(Self {
            id: StationId::from_bytes(id(&row.try_get::<Vec<u8>, _>("id")?)?),
            name: row.try_get("name")?,
            retired_at_ms: retired
                .map(store::unsigned)
                .transpose()
                .map_err(undecodable)?,
        })
    }
}

/// Asks a registry's database what it is, and whom it takes one for. Changes nothing, and needs no schema.
///
/// # Errors
/// [`RegistryError`] where the database can't be reached, or there is no such file.
pub async fn status(address: RegistryAddress) -> Result<RegistryStatus, RegistryError> {
    let engine = address.engine;
    let several = address.servers.len() > 1;
    let connections = Connections::new(address.existing()?);
    let mut connection = connections.open_any_schema().await?;
    let status = match engine {
        Engine::Sqlite => of_file(&mut connection).await,
        Engine::Postgres => of_server(&mut connection, several).await,
    };
    // Everything is answered; a farewell that fails changes nothing.
    let _ = connection.close().await;
    status
}

async fn of_file(connection: &mut AnyConnection) -> Result<RegistryStatus, RegistryError> {
    let server_version = text(connection, "SELECT sqlite_version()").await?;
    let mut status = RegistryStatus {
        engine: "SQLite".to_owned(),
        server_version,
        roles_made: true,
        rights: vec!["owner".to_owned()],
        ..nothing_known()
    };
    read_version(connection, &mut status).await?;
    Ok(status)
}

async fn of_server(
    connection: &mut AnyConnection,
    several: bool,
) -> Result<RegistryStatus, RegistryError> {
    let mut status = RegistryStatus {
        engine: "PostgreSQL".to_owned(),
        server_version: text(connection, "SHOW server_version").await?,
        role: Some(text(connection, "SELECT session_user::text").await?),
        server: Some(
            text(
                connection,
                "SELECT host(inet_server_addr()) || ':' || inet_server_port()",
            )
            .await?,
        ),
        ..nothing_known()
    };
    if several {
        status.waits_for = Some(text(connection, "SHOW synchronous_standby_names").await?);
    }
    let owner = text(
        connection,
        "SELECT pg_has_role(session_user, datdba, 'MEMBER')::text FROM pg_database WHERE datname = current_database()",
    );
    if owner.await? == "true" {
        status.rights.push("owner".to_owned());
    }
    let granted = sqlx::query_as(
        "SELECT replace(substring(rolname::text FROM 9), '_', ' ') FROM pg_roles \
         WHERE rolname IN ('keyline_station', 'keyline_key_administrator', 'keyline_auditor') \
         AND pg_has_role(session_user, oid, 'MEMBER') ORDER BY 1",
    );
    let granted: Vec<(String,)> = within(DOING, granted.fetch_all(&mut *connection)).await?;
    if status.rights.is_empty() {
        status
            .rights
            .extend(granted.into_iter().map(|(name,)| name));
    }
    let made = text(
        connection,
        // Of the last of the migrations that only PostgreSQL has.
        "SELECT (to_regprocedure('serial_is_proven(bytea, bigint, bytea, bytea)') IS NOT NULL)::text",
    );
    status.roles_made = made.await? == "true";
    if status.rights.is_empty() {
        // It may not even read the version.
        return Ok(status);
    }
    read_version(connection, &mut status).await?;
    if status.roles_made {
        let station = sqlx::query_as(
            "SELECT station.id, station.name, station_retirement.retired_at_ms FROM station \
             LEFT JOIN station_retirement ON station_retirement.station = station.id WHERE station.login = session_user::text",
        );
        status.station = within(DOING, station.fetch_optional(connection)).await?;
    }
    Ok(status)
}

const fn nothing_known() -> RegistryStatus {
    RegistryStatus {
        engine: String::new(),
        server_version: String::new(),
        server: None,
        waits_for: None,
        schema: None,
        min_client: 0,
        client: CLIENT,
        schema_min: SCHEMA_MIN,
        roles_made: false,
        role: None,
        rights: Vec::new(),
        station: None,
    }
}

async fn read_version(
    connection: &mut AnyConnection,
    status: &mut RegistryStatus,
) -> Result<(), RegistryError> {
    if let Some((schema, min_client)) = schema::version(connection).await? {
        status.schema = Some(schema);
        status.min_client = min_client;
    }
    Ok(())
}

async fn text(
    connection: &mut AnyConnection,
    question: &'static str,
) -> Result<String, RegistryError> {
    within(DOING, sqlx::query_scalar(question).fetch_one(connection)).await
}
