//! Questions to the registry. They see everything that was acknowledged before they were asked.

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, FromRow, Row as _};

use super::known::PinState;
use super::model::{AlarmKind, AlarmSide, PinEvent, PinEventKind, RegistryAlarm};
use super::rows::Lookup;
use super::store::{self, StoreError};
use super::{Registry, RegistryError};
use crate::record::{AlgorithmName, DeviceIdText, Pin, ProductId, RunId, StationId};

/// The most rows that an answer has.
const ROWS_MAX: i64 = 1_000;

const DOING: &str = "reading pins";

pub(super) const PIN_COLUMNS: &str = "fingerprint, device_id, generation, turn, algorithm, public_key, product, product_name, station, claimed_at_ms, state, weak, \
     pinned_at_ms, pinned_by, revoked_by, revoked_for, revoked_at_ms";

static PINS_BY_DEVICE: Lookup = Lookup {
    columns: PIN_COLUMNS,
    table: "key_state",
    column: "device_id",
    function: "keys_by_device",
};

static PINS_BY_FINGERPRINT: Lookup = Lookup {
    columns: PIN_COLUMNS,
    table: "key_state",
    column: "fingerprint",
    function: "keys_by_fingerprint",
};

/// A key beside what became of it.
pub(super) struct PinRow {
    pub(super) pin: Pin,
    pub(super) product_name: Option<String>,
    pub(super) generation: i64,
    pub(super) turn: i64,
    pinned_by: Option<StationId>,
    pub(super) revoked: Option<Revoked>,
}

pub(super) struct Revoked {
    operator: String,
    reason: String,
    pub(super) at_ms: u64,
}

impl FromRow<'_, AnyRow> for PinRow {
    fn from_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let blob = |column| row.try_get::<Vec<u8>, _>(column);
        let optional_id = |column| {
            let bytes: Option<Vec<u8>> = row.try_get(column)?;
            bytes.map(|bytes| id(&bytes)).transpose()
        };
        let time = |column| {
            let time: Option<i64> = row.try_get(column)?;
            time.map(store::unsigned).transpose().map_err(undecodable)
        };
        let algorithm: String = row.try_get("algorithm")?;
        let pin = Pin {
            device_id: store::device_id(&blob("device_id")?).map_err(undecodable)?,
            algorithm: AlgorithmName::try_from(algorithm)
                .map_err(|error| sqlx::Error::Decode(error.into()))?,
            public_key: blob("public_key")?,
            fingerprint: store::hash(&blob("fingerprint")?).map_err(undecodable)?,
            state: row.try_get("state")?,
            weak: row.try_get::<i64, _>("weak")? != 0,
            product: optional_id("product")?.map(ProductId::from_bytes),
            station: optional_id("station")?.map(StationId::from_bytes),
            claimed_at_ms: store::unsigned(row.try_get("claimed_at_ms")?).map_err(undecodable)?,
            pinned_at_ms: time("pinned_at_ms")?,
        };
        let revoked = match time("revoked_at_ms")? {
            Some(at_ms) => Some(Revoked {
                operator: row.try_get("revoked_by")?,
                reason: row.try_get("revoked_for")?,
                at_ms,
            }),
            None => None,
        };
        Ok(Self {
            pin,
            product_name: row.try_get("product_name")?,
            generation: row.try_get("generation")?,
            turn: row.try_get("turn")?,
            pinned_by: optional_id("pinned_by")?.map(StationId::from_bytes),
            revoked,
        })
    }
}

pub(super) fn undecodable(error: StoreError) -> sqlx::Error {
    match error {
        StoreError::Database(error) => error,
        StoreError::Refused(error) => sqlx::Error::Decode(error),
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
    /// The keys that a lookup finds, the oldest first.
    async fn pins(&self, lookup: &Lookup, value: &[u8]) -> Result<Vec<PinRow>, RegistryError> {
        let values = [value.to_vec()];
        let mut rows: Vec<PinRow> = self.connections.look_up(DOING, lookup, &values).await?;
        rows.sort_by_key(|row| (row.generation, row.turn));
        Ok(rows)
    }

    /// The device's active pin: the key that the cloud trusts.
    ///
    /// # Errors
    /// [`RegistryError`] where the database can't be reached or is damaged.
    pub async fn pin_of(&self, device_id: DeviceIdText) -> Result<Option<Pin>, RegistryError> {
        let keys = self.keys_of(device_id).await?;
        Ok(keys.into_iter().find(Pin::is_active))
    }

    /// Every key that was ever claimed for the device, the oldest first, whatever became of it.
    ///
    /// # Errors
    /// [`RegistryError`] where the database can't be reached or is damaged.
    pub async fn keys_of(&self, device_id: DeviceIdText) -> Result<Vec<Pin>, RegistryError> {
        let rows = self.pins(&PINS_BY_DEVICE, device_id.0.as_bytes()).await?;
        Ok(rows.into_iter().map(|row| row.pin).collect())
    }

    /// The key with this fingerprint, whatever became of it.
    ///
    /// # Errors
    /// [`RegistryError`] where the database can't be reached or is damaged.
    pub async fn by_fingerprint(
        &self,
        fingerprint: [u8; 32],
    ) -> Result<Option<Pin>, RegistryError> {
        let mut rows = self.pins(&PINS_BY_FINGERPRINT, &fingerprint).await?;
        Ok(rows.pop().map(|row| row.pin))
    }

    /// What happened to the device's keys, the oldest first: it follows from the rows that claims, pins and revocations have left.
    ///
    /// # Errors
    /// [`RegistryError`] where the database can't be reached or is damaged.
    pub async fn history(&self, device_id: DeviceIdText) -> Result<Vec<PinEvent>, RegistryError> {
        Ok(history(
            &self.pins(&PINS_BY_DEVICE, device_id.0.as_bytes()).await?,
        ))
    }

    /// The latest alarms that this role may see, the newest first; at most 1,000.
    ///
    /// # Errors
    /// [`RegistryError`] where the database can't be reached or is damaged.
    pub async fn alarms(&self, limit: u32) -> Result<Vec<RegistryAlarm>, RegistryError> {
        let sql = format!("SELECT {ALARM_COLUMNS} FROM alarm ORDER BY id DESC LIMIT $1");
        let question = sqlx::query_as(AssertSqlSafe(sql)).bind(i64::from(limit).min(ROWS_MAX));
        let rows: Vec<AlarmRow> = self.connections.fetch("reading alarms", question).await?;
        Ok(rows.into_iter().map(|row| row.alarm).collect())
    }

    /// Whether the registry answers, with a schema that this software can use.
    ///
    /// # Errors
    /// [`RegistryError::Unreachable`] where it does not.
    pub async fn ping(&self) -> Result<(), RegistryError> {
        let question = sqlx::query_as("SELECT min_client FROM meta WHERE id = 1");
        let _: Vec<(i64,)> = self
            .connections
            .fetch("asking whether it answers", question)
            .await?;
        Ok(())
    }
}

/// The events of one device, in the order of its keys.
fn history(rows: &[PinRow]) -> Vec<PinEvent> {
    let mut events = Vec::new();
    let mut tell = |kind, pin: &Pin, station, revoked: Option<&Revoked>, at_ms| {
        events.push(PinEvent {
            sequence: events.len() as u64 + 1,
            kind,
            fingerprint: pin.fingerprint,
            station,
            operator: revoked.map(|revoked| revoked.operator.clone()),
            reason: revoked.map(|revoked| revoked.reason.clone()),
            at_ms,
        });
    };
    for (n, row) in rows.iter().enumerate() {
        let pin = &row.pin;
        let before = n.checked_sub(1).map(|n| &rows[n].pin);
        if let Some(before) = before.filter(|before| before.state == PinState::Superseded.name()) {
            let kind = PinEventKind::Superseded;
            tell(kind, before, pin.station, None, pin.claimed_at_ms);
        }
        tell(
            PinEventKind::Claimed,
            pin,
            pin.station,
            None,
            pin.claimed_at_ms,
        );
        if let Some(at_ms) = pin.pinned_at_ms {
            tell(PinEventKind::Pinned, pin, row.pinned_by, None, at_ms);
        }
        if let Some(revoked) = &row.revoked {
            let kind = PinEventKind::Revoked;
            tell(kind, pin, None, Some(revoked), revoked.at_ms);
        }
    }
    events
}

/// What an alarm is read from.
pub(super) const ALARM_COLUMNS: &str = "id, side, kind, device_id, fingerprint, other_device_id, other_fingerprint, station, other_station, run, \
     evidence, at_ms";

/// An alarm and its id.
pub(super) struct AlarmRow {
    pub(super) id: [u8; 16],
    pub(super) alarm: RegistryAlarm,
}

impl FromRow<'_, AnyRow> for AlarmRow {
    fn from_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let blob = |column| row.try_get::<Vec<u8>, _>(column);
        let device = |column| store::device_id(&blob(column)?).map_err(undecodable);
        let hash = |column| store::hash(&blob(column)?).map_err(undecodable);
        let named = |column| row.try_get::<String, _>(column);
        let unknown =
            |what: &str, name: &str| sqlx::Error::Decode(format!("{what}: found {name:?}").into());
        let (kind, side) = (named("kind")?, named("side")?);
        let other_station: Option<Vec<u8>> = row.try_get("other_station")?;
        let alarm = RegistryAlarm {
            side: AlarmSide::from_name(&side).ok_or_else(|| unknown("a side", &side))?,
            kind: AlarmKind::from_name(&kind).ok_or_else(|| unknown("an alarm", &kind))?,
            device_id: device("device_id")?,
            fingerprint: hash("fingerprint")?,
            other_device_id: device("other_device_id")?,
            other_fingerprint: hash("other_fingerprint")?,
            station: StationId::from_bytes(id(&blob("station")?)?),
            other_station: other_station
                .map(|bytes| id(&bytes).map(StationId::from_bytes))
                .transpose()?,
            run: RunId::from_bytes(id(&blob("run")?)?),
            evidence: named("evidence")?,
            at_ms: store::unsigned(row.try_get("at_ms")?).map_err(undecodable)?,
        };
        Ok(Self {
            id: id(&blob("id")?)?,
            alarm,
        })
    }
}
