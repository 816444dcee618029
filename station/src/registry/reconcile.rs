//! Questions of an auditor, in pages: everything that one station has entered, to be held against its log.

use std::collections::HashMap;

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, FromRow, Row as _};

use super::address::Engine;
use super::constraint::explained;
use super::known::PinState;
use super::log::{EnteredCheckpoint, LogAlarm, LogAlarmKind};
use super::log_store::station_id;
use super::model::RegistryAlarm;
use super::question::{ALARM_COLUMNS, AlarmRow, id, undecodable};
use super::rows::Lookup;
use super::store::{self, StoreError};
use super::{Registry, RegistryError};
use crate::record::{
    AlgorithmName, Claim, DeviceIdText, KeyPolicyName, OrderId, ProductId, Proof, RunId, StationId,
};

/// The most rows that a page has.
const PAGE_MAX: u32 = 1_000;

const DOING: &str = "reading what a station has entered";

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPin {
    /// `pending`, `active`, `superseded` or `revoked`.
    pub state: String,
    /// Whether the proof was a MAC.
    pub weak: bool,
    /// When it became active, in milliseconds since 1970.
    pub pinned_at_ms: Option<u64>,
}

/// A proof, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredProof {
    /// The proof.
    Readable(Box<Proof>),
    /// Bytes that are none, and why.
    Unreadable(String),
}

/// A claim with everything that came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRecord {
    /// The key under which it is stored: SHA-256 of the public key, unless somebody has been at it.
    pub fingerprint: [u8; 32],
    /// The claim, as it was entered.
    pub claim: Claim,
    /// When it was entered, in milliseconds since 1970.
    pub claimed_at_ms: u64,
    /// What became of it.
    pub pin: ClaimPin,
    /// The first proof that was accepted for the key.
    pub proof: Option<StoredProof>,
}

/// The key that the cloud trusts for a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivePin {
    /// The device.
    pub device_id: DeviceIdText,
    /// The key.
    pub fingerprint: [u8; 32],
    /// Whether its proof was a MAC.
    pub weak: bool,
    /// When it became active, in milliseconds since 1970.
    pub pinned_at_ms: Option<u64>,
}

/// Whose a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyOwner {
    /// The key.
    pub fingerprint: [u8; 32],
    /// The device that it was claimed for.
    pub device_id: DeviceIdText,
    /// The station that claimed it; `None` where it did not come from a bench.
    pub station: Option<StationId>,
}

/// A page of alarms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmPage {
    /// The alarms, the oldest first.
    pub alarms: Vec<RegistryAlarm>,
    /// Where the next page begins; `None` after the last one.
    pub next: Option<[u8; 16]>,
}

const CLAIM_COLUMNS: &str = "fingerprint, device_id, algorithm, made, public_key, challenge, signature, station, customer, product, \
     work_order, run, rework, claimed_at_ms, basis, state, weak, pinned_at_ms";

static CLAIMS_BY_FINGERPRINT: Lookup = Lookup {
    columns: CLAIM_COLUMNS,
    table: "key_state",
    column: "fingerprint",
    function: "keys_by_fingerprint",
};

static OWNERS: Lookup = Lookup {
    columns: "fingerprint, device_id, station",
    ..CLAIMS_BY_FINGERPRINT
};

static PINS_BY_DEVICE: Lookup = Lookup {
    columns: "device_id, fingerprint, state, weak, pinned_at_ms",
    table: "key_state",
    column: "device_id",
    function: "keys_by_device",
};

static FIRST_PROOFS: Lookup = Lookup {
    columns: "fingerprint, record",
    table: "first_proof",
    column: "fingerprint",
    function: "first_proofs",
};

/// Device id, fingerprint, state, weak, pinned at.
type PinColumns = (Vec<u8>, Vec<u8>, String, i64, Option<i64>);

/// Fingerprint, device id, station.
type OwnerColumns = (Vec<u8>, Vec<u8>, Option<Vec<u8>>);

/// A claim that was made on a bench; `None` for any other.
struct BenchClaim(Option<ClaimRecord>);

impl FromRow<'_, AnyRow> for BenchClaim {
    fn from_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let basis: String = row.try_get("basis")?;
        let claim = (basis == "bench").then(|| ClaimRecord::from_row(row));
        Ok(Self(claim.transpose()?))
    }
}

impl FromRow<'_, AnyRow> for ClaimRecord {
    fn from_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let blob = |column| row.try_get::<Vec<u8>, _>(column);
        let hash = |column| store::hash(&blob(column)?).map_err(undecodable);
        let named = |error: String| sqlx::Error::Decode(error.into());
        let pinned: Option<i64> = row.try_get("pinned_at_ms")?;
        let pinned_at_ms = pinned.map(store::unsigned).transpose();
        let pin = ClaimPin {
            state: row.try_get("state")?,
            weak: row.try_get::<i64, _>("weak")? != 0,
            pinned_at_ms: pinned_at_ms.map_err(undecodable)?,
        };
        Ok(Self {
            fingerprint: hash("fingerprint")?,
            claim: Claim {
                device_id: store::device_id(&blob("device_id")?).map_err(undecodable)?,
                algorithm: AlgorithmName::try_from(row.try_get::<String, _>("algorithm")?)
                    .map_err(named)?,
                made: KeyPolicyName::try_from(row.try_get::<String, _>("made")?).map_err(named)?,
                public_key: blob("public_key")?,
                challenge: hash("challenge")?,
                signature: blob("signature")?,
                station: StationId::from_bytes(id(&blob("station")?)?),
                customer: row.try_get("customer")?,
                product: ProductId::from_bytes(id(&blob("product")?)?),
                order: OrderId::from_bytes(id(&blob("work_order")?)?),
                run: RunId::from_bytes(id(&blob("run")?)?),
                rework: row.try_get::<i64, _>("rework")? != 0,
            },
            claimed_at_ms: store::unsigned(row.try_get("claimed_at_ms")?).map_err(undecodable)?,
            pin,
            proof: None,
        })
    }
}

fn failed(error: StoreError) -> RegistryError {
    explained(DOING)(undecodable(error))
}

impl Registry {
    /// A page of the claims that a station has entered, by fingerprint, with what became of each; at most 1,000. The next page is the
    /// one after the last record's fingerprint.
    ///
    /// # Errors
    /// [`RegistryError`] where the database can't be reached or is damaged.
    pub async fn claims_of_station(
        &self,
        station: StationId,
        after: Option<[u8; 32]>,
        limit: u32,
    ) -> Result<Vec<ClaimRecord>, RegistryError> {
        let sql = match self.connections.engine() {
            Engine::Sqlite => format!(
                "SELECT {CLAIM_COLUMNS} FROM key_state WHERE station = $1 AND fingerprint > $2 ORDER BY fingerprint LIMIT $3"
            ),
            Engine::Postgres => format!("SELECT {CLAIM_COLUMNS} FROM keys_of_station($1, $2, $3)"),
        };
        let question = sqlx::query_as(AssertSqlSafe(sql))
            .bind(station.as_bytes().to_vec())
            .bind(after.map_or_else(Vec::new, |after| after.to_vec()))
            .bind(i64::from(limit.min(PAGE_MAX)));
        let mut records: Vec<ClaimRecord> = self.connections.fetch(DOING, question).await?;
        self.add_proofs(&mut records).await?;
        Ok(records)
    }

    /// The claims of these keys, with what became of each, in no order. Keys that nobody claimed are left out.
    ///
    /// # Errors
    /// [`RegistryError`] where the database can't be reached or is damaged.
    pub async fn claims_of_keys(
        &self,
        fingerprints: &[[u8; 32]],
    ) -> Result<Vec<ClaimRecord>, RegistryError> {
        let keys: Vec<_> = fingerprints.iter().map(|key| key.to_vec()).collect();
        let found = self
            .connections
            .look_up(DOING, &CLAIMS_BY_FINGERPRINT, &keys);
        let found: Vec<BenchClaim> = found.await?;
        let mut records: Vec<_> = found.into_iter().filter_map(|claim| claim.0).collect();
        self.add_proofs(&mut records).await?;
        Ok(records)
    }

    /// Whose these keys are, in no order. Keys that nobody claimed are left out.
    ///
    /// # Errors
    /// [`RegistryError`] where the database can't be reached or is damaged.
    pub async fn owners_of_keys(
        &self,
        fingerprints: &[[u8; 32]],
    ) -> Result<Vec<KeyOwner>, RegistryError> {
        let keys: Vec<_> = fingerprints.iter().map(|key| key.to_vec()).collect();
        let rows: Vec<OwnerColumns> = self.connections.look_up(DOING, &OWNERS, &keys).await?;
        let owner = |(fingerprint, device, station): OwnerColumns| {
            Ok(KeyOwner {
                fingerprint: store::hash(&fingerprint)?,
                device_id: store::device_id(&device)?,
                station: station.map(|bytes| station_id(&bytes)).transpose()?,
            })
        };
        let owners: Result<_, StoreError> = rows.into_iter().map(owner).collect();
        owners.map_err(failed)
    }

    /// The active pins of these devices, in no order, whether or not there is a claim behind them.
    ///
    /// # Errors
    /// [`RegistryError`] where the database can't be reached or is damaged.
    pub async fn active_pins(
        &self,
        devices: &[DeviceIdText],
    ) -> Result<Vec<ActivePin>, RegistryError> {
        let ids: Vec<_> = devices.iter().map(|id| id.0.as_bytes().to_vec()).collect();
        let rows: Vec<PinColumns> = self
            .connections
            .look_up(DOING, &PINS_BY_DEVICE, &ids)
            .await?;
        let pin = |(device, fingerprint, _, weak, pinned): PinColumns| {
            Ok(ActivePin {
                device_id: store::device_id(&device)?,
                fingerprint: store::hash(&fingerprint)?,
                weak: weak != 0,
                pinned_at_ms: pinned.map(store::unsigned).transpose()?,
            })
        };
        let active = rows
            .into_iter()
            .filter(|(_, _, state, ..)| state == PinState::Active.name());
        let pins: Result<_, StoreError> = active.map(pin).collect();
        pins.map_err(failed)
    }

    /// Reads the first proof of each key.
    async fn add_proofs(&self, records: &mut [ClaimRecord]) -> Result<(), RegistryError> {
        let keys: Vec<_> = records
            .iter()
            .map(|record| record.fingerprint.to_vec())
            .collect();
        let rows: Vec<(Vec<u8>, String)> = self
            .connections
            .look_up(DOING, &FIRST_PROOFS, &keys)
            .await?;
        let mut proofs: HashMap<Vec<u8>, String> = rows.into_iter().collect();
        for record in records {
            let stored = proofs.remove(&record.fingerprint[..]);
            record.proof = stored.map(|text| match serde_json::from_str(&text) {
                Ok(proof) => StoredProof::Readable(Box::new(proof)),
                Err(error) => StoredProof::Unreadable(error.to_string()),
            });
        }
        Ok(())
    }

    /// A page of the alarms that a station has caused, the oldest first; at most 1,000.
    ///
    /// # Errors
    /// [`RegistryError`] where the database can't be reached or is damaged.
    pub async fn alarms_of_station(
        &self,
        station: StationId,
        after: Option<[u8; 16]>,
        limit: u32,
    ) -> Result<AlarmPage, RegistryError> {
        let sql = format!(
            "SELECT {ALARM_COLUMNS} FROM alarm WHERE station = $1 AND id > $2 ORDER BY id LIMIT $3"
        );
        let limit = limit.clamp(1, PAGE_MAX);
        let question = sqlx::query_as(AssertSqlSafe(sql))
            .bind(station.as_bytes().to_vec())
            .bind(after.map_or_else(Vec::new, |after| after.to_vec()))
            .bind(i64::from(limit));
        let rows: Vec<AlarmRow> = self.connections.fetch(DOING, question).await?;
        let next = rows.last().map(|row| row.id);
        let full = rows.len() == limit as usize;
        Ok(AlarmPage {
            alarms: rows.into_iter().map(|row| row.alarm).collect(),
            next: next.filter(|_| full),
        })
    }

    /// The latest checkpoint that was entered for a log.
    ///
    /// # Errors
    /// [`RegistryError`] where the database can't be reached or is damaged.
    pub async fn latest_checkpoint(
        &self,
        origin: &str,
    ) -> Result<Option<EnteredCheckpoint>, RegistryError> {
        let mut rows = self.entered("DESC", origin, 0, 1).await?;
        Ok(rows.pop())
    }

    /// A page of the checkpoints that were entered for a log, the smallest first, those of more than `after_size` leaves; at most
    /// 1,000.
    ///
    /// # Errors
    /// [`RegistryError`] where the database can't be reached or is damaged.
    pub async fn checkpoints(
        &self,
        origin: &str,
        after_size: u64,
        limit: u32,
    ) -> Result<Vec<EnteredCheckpoint>, RegistryError> {
        self.entered("ASC", origin, after_size, limit).await
    }

    async fn entered(
        &self,
        direction: &'static str,
        origin: &str,
        after_size: u64,
        limit: u32,
    ) -> Result<Vec<EnteredCheckpoint>, RegistryError> {
        type Columns = (i64, i64, Vec<u8>, String, i64);
        const DOING: &str = "reading a log's checkpoints";
        let sql = format!(
            "SELECT tree_size, previous_size, root, note, at_ms FROM log_checkpoint \
             WHERE origin = $1 AND tree_size > $2 ORDER BY tree_size {direction} LIMIT $3"
        );
        let question = sqlx::query_as(AssertSqlSafe(sql))
            .bind(origin)
            .bind(store::signed(after_size))
            .bind(i64::from(limit.min(PAGE_MAX)));
        let rows: Vec<Columns> = self.connections.fetch(DOING, question).await?;
        let read = |(size, previous, root, note, at_ms): Columns| {
            Ok(EnteredCheckpoint {
                size: store::unsigned(size)?,
                previous_size: store::unsigned(previous)?,
                root: store::hash(&root)?,
                note,
                at_ms: store::unsigned(at_ms)?,
            })
        };
        let rows: Result<_, StoreError> = rows.into_iter().map(read).collect();
        rows.map_err(|error| explained(DOING)(undecodable(error)))
    }

    /// The station whose log this is; `None` where no checkpoint of it was entered.
    ///
    /// # Errors
    /// [`RegistryError`] where the database can't be reached or is damaged.
    pub async fn station_of_log(&self, origin: &str) -> Result<Option<StationId>, RegistryError> {
        let sql = match self.connections.engine() {
            Engine::Sqlite => "SELECT station FROM log WHERE origin = $1",
            Engine::Postgres => "SELECT station FROM log_by_origin($1)",
        };
        let question = sqlx::query_as(sql).bind(origin);
        let rows: Vec<(Vec<u8>,)> = self
            .connections
            .fetch("reading whose a log is", question)
            .await?;
        let station = rows.first().map(|(bytes,)| station_id(bytes));
        station.transpose().map_err(failed)
    }

    /// The latest refused checkpoints of a log, the newest first; at most 1,000.
    ///
    /// # Errors
    /// [`RegistryError`] where the database can't be reached or is damaged.
    pub async fn log_alarms(
        &self,
        origin: &str,
        limit: u32,
    ) -> Result<Vec<LogAlarm>, RegistryError> {
        type Columns = (String, String, Vec<u8>, i64, i64, String, i64);
        let question = sqlx::query_as(
            "SELECT kind, origin, station, known_size, shown_size, note, at_ms FROM log_alarm WHERE origin = $1 \
             ORDER BY id DESC LIMIT $2",
        )
        .bind(origin)
        .bind(i64::from(limit.min(PAGE_MAX)));
        let rows: Vec<Columns> = self
            .connections
            .fetch("reading the alarms of logs", question)
            .await?;
        let read = |(kind, origin, station, known, shown, note, at_ms): Columns| {
            let damaged =
                || StoreError::Damaged("an alarm's kind", "one of three names", kind.clone());
            Ok(LogAlarm {
                kind: LogAlarmKind::from_name(&kind).ok_or_else(damaged)?,
                origin,
                station: station_id(&station)?,
                known_size: store::unsigned(known)?,
                shown_size: store::unsigned(shown)?,
                note,
                at_ms: store::unsigned(at_ms)?,
            })
        };
        let alarms: Result<_, StoreError> = rows.into_iter().map(read).collect();
        alarms.map_err(failed)
    }
}
