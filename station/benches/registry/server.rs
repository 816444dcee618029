//! A server with durable settings, and databases on it.

use keyline_station::record::StationId;
use keyline_station::registry::{Registry, RegistryAddress, RegistryFiles, migrate};

use crate::common::Outcome;
use crate::postgres::Postgres;
use crate::station;

/// The role with which the station logs in.
const LOGIN: &str = "station_bench";

/// A server of the bench's own, and the station that is enrolled in each of its databases.
pub(crate) struct Server {
    postgres: Postgres,
    pub(crate) station: StationId,
}

impl Server {
    pub(crate) fn start() -> Self {
        let settings = [
            "fsync=on",
            "synchronous_commit=on",
            "full_page_writes=on",
            "shared_buffers=1GB",
            "max_wal_size=4GB",
            "maintenance_work_mem=512MB",
        ];
        let settings = settings.map(str::to_owned);
        let hba = "host all all 127.0.0.1/32 trust\n";
        Self {
            postgres: Postgres::start_with(&settings, hba),
            station: station(),
        }
    }

    /// The settings that matter, as the server itself has them.
    pub(crate) fn described(&self) -> Outcome<String> {
        let settings = self.sql(
            "postgres",
            "SELECT string_agg(name || ' ' || current_setting(name), ', ') FROM unnest(ARRAY['fsync', 'synchronous_commit', \
             'full_page_writes', 'wal_level', 'shared_buffers', 'max_wal_size']) AS name",
        )?;
        let version = self.sql("postgres", "SHOW server_version")?;
        Ok(format!(
            "PostgreSQL {version} on this machine: {settings}; entered as a station's own role"
        ))
    }

    /// Runs statements as the owner and gives what the last one printed.
    pub(crate) fn sql(&self, database: &str, sql: &str) -> Outcome<String> {
        Ok(self.postgres.sql("owner", database, sql)?)
    }

    /// Makes a registry in which the station is enrolled.
    pub(crate) async fn registry(&self, database: &str) -> Outcome {
        self.postgres.create_database(database);
        let url = self.url(database);
        migrate(RegistryAddress::new(&url, &RegistryFiles::default())?).await?;
        let enrol = format!(
            "INSERT INTO station VALUES ('\\x{}', 'bench', '{LOGIN}', NULL, 'bench', 0);
             DO $$ BEGIN
                 IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{LOGIN}') THEN
                     CREATE ROLE {LOGIN} LOGIN IN ROLE keyline_station;
                 END IF;
             END $$;
             CHECKPOINT;",
            hex::encode(self.station.as_bytes())
        );
        self.sql(database, &enrol)?;
        Ok(())
    }

    /// The address for the owner.
    pub(crate) fn url(&self, database: &str) -> String {
        self.postgres.url("owner", database)
    }

    /// Opens a registry as the station.
    pub(crate) async fn open(&self, database: &str) -> Outcome<Registry> {
        let registry = Registry::connect(&self.postgres.url(LOGIN, database)).await?;
        registry.ping().await?;
        Ok(registry)
    }

    /// Drops a database that is not needed any more.
    pub(crate) fn forget(&self, database: &str) -> Outcome {
        self.sql(
            "postgres",
            &format!("DROP DATABASE {database} WITH (FORCE)"),
        )?;
        Ok(())
    }
}
