//! Questions about serials: which device one names, and named before.

use sqlx::AssertSqlSafe;

use super::address::Engine;
use super::model::SerialUse;
use super::serial_store::{USE_COLUMNS, USES_BY_DEVICE};
use super::{Registry, RegistryError};
use crate::record::{DeviceIdText, Label, StationId};

/// The most uses that an answer has.
const USES_MAX: i64 = 1_000;

const DOING: &str = "reading serials";

impl Registry {
    /// Every use of a serial, whatever the product is, by product and the oldest first; at most 1,000.
    ///
    /// # Errors
    /// [`RegistryError`] where the database can't be reached or is damaged.
    pub async fn uses_of_serial(&self, serial: &str) -> Result<Vec<SerialUse>, RegistryError> {
        let sql = match self.connections.engine() {
            Engine::Sqlite => format!(
                "SELECT {USE_COLUMNS} FROM serial_state WHERE serial = $1 ORDER BY product, turn LIMIT $2"
            ),
            Engine::Postgres => format!("SELECT {USE_COLUMNS} FROM serials_by_label($1, $2)"),
        };
        let question = sqlx::query_as(AssertSqlSafe(sql))
            .bind(serial)
            .bind(USES_MAX);
        self.connections.fetch(DOING, question).await
    }

    /// The serials that these devices have and had, the oldest use of each device first.
    ///
    /// # Errors
    /// [`RegistryError`] where the database can't be reached or is damaged.
    pub async fn serials_of(
        &self,
        devices: &[DeviceIdText],
    ) -> Result<Vec<SerialUse>, RegistryError> {
        let ids: Vec<_> = devices.iter().map(|id| id.0.as_bytes().to_vec()).collect();
        let found = self.connections.look_up(DOING, &USES_BY_DEVICE, &ids);
        let mut uses: Vec<SerialUse> = found.await?;
        uses.sort_by_key(|one| (one.device_id, one.generation, one.label.clone(), one.turn));
        Ok(uses)
    }

    /// A page of the uses that a station has entered, by label and turn, after the one at `after`; at most 1,000.
    ///
    /// # Errors
    /// [`RegistryError`] where the database can't be reached or is damaged.
    pub async fn uses_of_station(
        &self,
        station: StationId,
        after: Option<&SerialUse>,
        limit: u32,
    ) -> Result<Vec<SerialUse>, RegistryError> {
        let (label, turn) = after.map_or_else(
            || (Label::default(), 0),
            |last| (last.label.clone(), last.turn),
        );
        // From the table: a station reads its own rows of it, and not the view.
        let question = sqlx::query_as(
            "SELECT product, serial, turn, device_id, generation, station, used_at_ms, CAST(NULL AS BIGINT) AS released_at_ms \
             FROM serial_use WHERE station = $1 AND (product, serial, turn) > ($2, $3, $4) ORDER BY product, serial, turn LIMIT $5",
        )
        .bind(station.as_bytes().to_vec())
        .bind(label.product)
        .bind(label.serial)
        .bind(super::store::signed(turn))
        .bind(i64::from(limit).min(USES_MAX));
        self.connections.fetch(DOING, question).await
    }
}
