//! Questions of an auditor about what did not come from a bench: acts of two people, imports, revocations and products of one station.

use sqlx::any::AnyRow;
use sqlx::{FromRow, Row as _};

use super::question::undecodable;
use super::store;
use super::{Registry, RegistryError};
use crate::record::{DeviceIdText, RunId, StationId};

const DOING: &str = "reading what people have entered";

/// The most rows of a page.
const PAGE_MAX: u32 = 1_000;

/// A revocation that a station entered by itself, because a unit was scrapped or reworked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StationRevocation {
    /// The unit.
    pub device_id: DeviceIdText,
    /// Which of the unit's pins, from 1.
    pub generation: i64,
    /// The key that is trusted no more.
    pub fingerprint: [u8; 32],
    /// When, in milliseconds since 1970.
    pub revoked_at_ms: u64,
}

impl FromRow<'_, AnyRow> for StationRevocation {
    fn from_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let device: Vec<u8> = row.try_get("device_id")?;
        let fingerprint: Vec<u8> = row.try_get("fingerprint")?;
        let revoked: i64 = row.try_get("revoked_at_ms")?;
        Ok(Self {
            device_id: store::device_id(&device).map_err(undecodable)?,
            generation: row.try_get("generation")?,
            fingerprint: store::hash(&fingerprint).map_err(undecodable)?,
            revoked_at_ms: store::unsigned(revoked).map_err(undecodable)?,
        })
    }
}

impl Registry {
    /// Whether this act of two people was carried out.
    ///
    /// # Errors
    /// [`RegistryError::NotAllowed`] where this role sees no acts, or where the database can't be reached.
    pub async fn has_act(&self, act: [u8; 32]) -> Result<bool, RegistryError> {
        let question = sqlx::query_as("SELECT COUNT(*) FROM act_approval WHERE request = $1")
            .bind(act.to_vec());
        Ok(self.count(question).await? > 0)
    }

    /// How many acts of two people this role sees.
    ///
    /// # Errors
    /// As [`has_act`](Self::has_act).
    pub async fn act_count(&self) -> Result<u64, RegistryError> {
        self.count(sqlx::query_as("SELECT COUNT(*) FROM act_approval"))
            .await
    }

    /// How many keys an import has entered.
    ///
    /// # Errors
    /// [`RegistryError`] where the database can't be reached.
    pub async fn import_count(&self, import: RunId) -> Result<u64, RegistryError> {
        let question =
            sqlx::query_as("SELECT COUNT(*) FROM key_claim WHERE basis = 'import' AND run = $1")
                .bind(import.as_bytes().to_vec());
        self.count(question).await
    }

    /// How many keys of imports this role sees, whoever imported them.
    ///
    /// # Errors
    /// As [`import_count`](Self::import_count).
    pub async fn all_imports_count(&self) -> Result<u64, RegistryError> {
        self.count(sqlx::query_as(
            "SELECT COUNT(*) FROM key_claim WHERE basis = 'import'",
        ))
        .await
    }

    /// A page of the revocations that a station entered by itself, by unit, after the one at `after`; at most 1,000.
    ///
    /// # Errors
    /// [`RegistryError`] where the database can't be reached or is damaged.
    pub async fn revocations_of_station(
        &self,
        station: StationId,
        after: Option<(DeviceIdText, i64)>,
        limit: u32,
    ) -> Result<Vec<StationRevocation>, RegistryError> {
        let (device, generation) = after.map_or((Vec::new(), 0), |(device, generation)| {
            (device.0.as_bytes().to_vec(), generation)
        });
        let question = sqlx::query_as(
            "SELECT pin_revocation.device_id, pin_revocation.generation, key_claim.fingerprint, pin_revocation.revoked_at_ms \
             FROM pin_revocation \
             JOIN pin ON pin.device_id = pin_revocation.device_id AND pin.generation = pin_revocation.generation \
             JOIN key_claim ON key_claim.device_id = pin.device_id AND key_claim.generation = pin.generation AND key_claim.turn = pin.turn \
             WHERE pin_revocation.station = $1 AND (pin_revocation.device_id, pin_revocation.generation) > ($2, $3) \
             ORDER BY pin_revocation.device_id, pin_revocation.generation LIMIT $4",
        )
        .bind(station.as_bytes().to_vec())
        .bind(device)
        .bind(generation)
        .bind(i64::from(limit.clamp(1, PAGE_MAX)));
        self.connections.fetch(DOING, question).await
    }

    async fn count(
        &self,
        question: sqlx::query::QueryAs<'_, sqlx::Any, (i64,), sqlx::any::AnyArguments>,
    ) -> Result<u64, RegistryError> {
        let rows: Vec<(i64,)> = self.connections.fetch(DOING, question).await?;
        let count = rows.first().map_or(0, |(count,)| *count);
        store::unsigned(count)
            .map_err(|error| super::constraint::explained(DOING)(undecodable(error)))
    }
}
