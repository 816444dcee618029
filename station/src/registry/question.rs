//! Questions to the registry. They see everything that was acknowledged before they were asked.

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, FromRow, Row as _};

use super::constraint::explained;
use super::model::{PinEvent, PinEventKind, RegistryAlarm};
use super::store::{self, StoreError};
use super::{Registry, RegistryError};
use crate::record::{AlgorithmName, DeviceIdText, Pin, ProductId, RunId, StationId};

/// The most rows that an answer has.
const ROWS_MAX: i64 = 1_000;

const DOING: &str = "reading pins";

/// A pin beside its claim.
struct PinRow(Pin);

impl FromRow<'_, AnyRow> for PinRow {
    fn from_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let blob = |column| row.try_get::<Vec<u8>, _>(column);
        let algorithm: String = row.try_get("algorithm")?;
        let pin = Pin {
            device_id: store::device_id(&blob("device_id")?).map_err(undecodable)?,
            algorithm: AlgorithmName::try_from(algorithm)
                .map_err(|error| sqlx::Error::Decode(error.into()))?,
            public_key: blob("public_key")?,
            fingerprint: store::hash(&blob("fingerprint")?).map_err(undecodable)?,
            state: row.try_get("state")?,
            weak: row.try_get::<i64, _>("weak")? != 0,
            product: ProductId::from_bytes(id(&blob("product")?)?),
            station: StationId::from_bytes(id(&blob("station")?)?),
            claimed_at_ms: store::unsigned(row.try_get("claimed_at_ms")?).map_err(undecodable)?,
            pinned_at_ms: row
                .try_get::<Option<i64>, _>("pinned_at_ms")?
                .map(store::unsigned)
                .transpose()
                .map_err(undecodable)?,
        };
        Ok(Self(pin))
    }
}

pub(super) fn undecodable(error: StoreError) -> sqlx::Error {
    match error {
        StoreError::Database(error) => error,
        StoreError::Damaged(what, expected, found) => {
            sqlx::Error::Decode(format!("{what}: expected {expected}, found {found}").into())
        }
    }
}

pub(super) fn id(bytes: &[u8]) -> Result<[u8; 16], sqlx::Error> {
    bytes
        .try_into()
        .map_err(|_| sqlx::Error::Decode("an id: expected 16 bytes".into()))
}

impl Registry {
    async fn pins(&self, condition: &'static str, key: &[u8]) -> Result<Vec<Pin>, RegistryError> {
        let sql = format!(
            "SELECT pin.device_id, pin.fingerprint, pin.state, pin.weak, pin.pinned_at_ms, key_claim.algorithm, \
             key_claim.public_key, key_claim.product, key_claim.station, key_claim.claimed_at_ms \
             FROM pin JOIN key_claim ON key_claim.fingerprint = pin.fingerprint \
             WHERE {condition} ORDER BY key_claim.claimed_at_ms LIMIT {ROWS_MAX}"
        );
        let rows: Vec<PinRow> = sqlx::query_as(AssertSqlSafe(sql))
            .bind(key.to_vec())
            .fetch_all(&self.pool)
            .await
            .map_err(explained(DOING))?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    /// The device's active pin: the key that the cloud trusts.
    ///
    /// # Errors
    /// [`RegistryError`] where the database can't be reached or is damaged.
    pub async fn pin_of(&self, device_id: DeviceIdText) -> Result<Option<Pin>, RegistryError> {
        let condition = "pin.device_id = $1 AND pin.state = 'active'";
        Ok(self.pins(condition, device_id.0.as_bytes()).await?.pop())
    }

    /// Every key that was ever claimed for the device, the oldest first, whatever became of it.
    ///
    /// # Errors
    /// [`RegistryError`] where the database can't be reached or is damaged.
    pub async fn keys_of(&self, device_id: DeviceIdText) -> Result<Vec<Pin>, RegistryError> {
        self.pins("pin.device_id = $1", device_id.0.as_bytes())
            .await
    }

    /// The key with this fingerprint, whatever became of it.
    ///
    /// # Errors
    /// [`RegistryError`] where the database can't be reached or is damaged.
    pub async fn by_fingerprint(
        &self,
        fingerprint: [u8; 32],
    ) -> Result<Option<Pin>, RegistryError> {
        // Through the claim's owner, so that the pin's own index finds it.
        let condition = "key_claim.fingerprint = $1 AND pin.device_id = key_claim.device_id";
        Ok(self.pins(condition, &fingerprint).await?.pop())
    }

    /// What happened to the device's keys, the oldest first.
    ///
    /// # Errors
    /// [`RegistryError`] where the database can't be reached or is damaged.
    pub async fn history(&self, device_id: DeviceIdText) -> Result<Vec<PinEvent>, RegistryError> {
        let rows: Vec<HistoryColumns> = sqlx::query_as(
            "SELECT sequence, event, fingerprint, station, operator, reason, at_ms FROM pin_history \
             WHERE device_id = $1 ORDER BY sequence",
        )
        .bind(device_id.0.as_bytes().to_vec())
        .fetch_all(&self.pool)
        .await
        .map_err(explained("reading a device's history"))?;
        rows.into_iter()
            .map(event)
            .collect::<Result<_, _>>()
            .map_err(explained("reading a device's history"))
    }

    /// The latest alarms, the newest first; at most 1,000.
    ///
    /// # Errors
    /// [`RegistryError`] where the database can't be reached or is damaged.
    pub async fn alarms(&self, limit: u32) -> Result<Vec<RegistryAlarm>, RegistryError> {
        let rows: Vec<AlarmColumns> = sqlx::query_as(
            "SELECT kind, device_id, fingerprint, other_device_id, other_fingerprint, station, run, at_ms FROM alarm \
             ORDER BY id DESC LIMIT $1",
        )
        .bind(i64::from(limit).min(ROWS_MAX))
        .fetch_all(&self.pool)
        .await
        .map_err(explained("reading alarms"))?;
        rows.into_iter()
            .map(alarm)
            .collect::<Result<_, _>>()
            .map_err(explained("reading alarms"))
    }

    /// Whether the registry answers.
    ///
    /// # Errors
    /// [`RegistryError::Unreachable`] where it does not.
    pub async fn ping(&self) -> Result<(), RegistryError> {
        let _: i64 = sqlx::query_scalar("SELECT min_client FROM meta WHERE id = 1")
            .fetch_one(&self.pool)
            .await
            .map_err(explained("asking whether it answers"))?;
        Ok(())
    }
}

type HistoryColumns = (
    i64,
    String,
    Vec<u8>,
    Option<Vec<u8>>,
    Option<String>,
    Option<String>,
    i64,
);

fn event(columns: HistoryColumns) -> Result<PinEvent, sqlx::Error> {
    let (sequence, kind, fingerprint, station, operator, reason, at_ms) = columns;
    Ok(PinEvent {
        sequence: store::unsigned(sequence).map_err(undecodable)?,
        kind: PinEventKind::from_name(&kind)
            .ok_or_else(|| sqlx::Error::Decode(format!("an event: found {kind:?}").into()))?,
        fingerprint: store::hash(&fingerprint).map_err(undecodable)?,
        station: station
            .map(|bytes| id(&bytes).map(StationId::from_bytes))
            .transpose()?,
        operator,
        reason,
        at_ms: store::unsigned(at_ms).map_err(undecodable)?,
    })
}

pub(super) type AlarmColumns = (
    String,
    Vec<u8>,
    Vec<u8>,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Vec<u8>,
    Vec<u8>,
    i64,
);

pub(super) fn alarm(columns: AlarmColumns) -> Result<RegistryAlarm, sqlx::Error> {
    let (kind, device, fingerprint, other_device, other_key, station, run, at_ms) = columns;
    Ok(RegistryAlarm {
        kind,
        device_id: store::device_id(&device).map_err(undecodable)?,
        fingerprint: store::hash(&fingerprint).map_err(undecodable)?,
        other_device_id: other_device
            .map(|bytes| store::device_id(&bytes))
            .transpose()
            .map_err(undecodable)?,
        other_fingerprint: other_key.map(hex::encode),
        station: StationId::from_bytes(id(&station)?),
        run: RunId::from_bytes(id(&run)?),
        at_ms: store::unsigned(at_ms).map_err(undecodable)?,
    })
}
