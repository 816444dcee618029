//! Questions of an auditor, in pages: everything that one station has entered, to be held against its log.

use std::collections::HashMap;

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, FromRow, Row as _};

use super::bulk::select_in;
use super::constraint::explained;
use super::log::{EnteredCheckpoint, LogAlarm, LogAlarmKind};
use super::log_store::station_id;
use super::model::RegistryAlarm;
use super::question::{AlarmColumns, alarm, id, undecodable};
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
    /// Its state; `None` where there is none, which the registry itself never leaves.
    pub pin: Option<ClaimPin>,
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
    /// The station that claimed it.
    pub station: StationId,
}

/// A page of alarms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmPage {
    /// The alarms, the oldest first.
    pub alarms: Vec<RegistryAlarm>,
    /// Where the next page begins; `None` after the last one.
    pub next: Option<[u8; 16]>,
}

/// Device id, fingerprint, weak, pinned at.
type PinColumns = (Vec<u8>, Vec<u8>, i64, Option<i64>);

const CLAIM_COLUMNS: &str = "SELECT key_claim.fingerprint, key_claim.device_id, key_claim.algorithm, key_claim.made, \
     key_claim.public_key, key_claim.challenge, key_claim.signature, key_claim.station, key_claim.customer, key_claim.product, \
     key_claim.work_order, key_claim.run, key_claim.rework, key_claim.claimed_at_ms, pin.state, pin.weak, pin.pinned_at_ms \
     FROM key_claim LEFT JOIN pin ON pin.fingerprint = key_claim.fingerprint AND pin.device_id = key_claim.device_id";

impl FromRow<'_, AnyRow> for ClaimRecord {
    fn from_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let blob = |column| row.try_get::<Vec<u8>, _>(column);
        let hash = |column| store::hash(&blob(column)?).map_err(undecodable);
        let named = |error: String| sqlx::Error::Decode(error.into());
        let state: Option<String> = row.try_get("state")?;
        let pin = state
            .map(|state| {
                let pinned: Option<i64> = row.try_get("pinned_at_ms")?;
                let pinned_at_ms = pinned.map(store::unsigned).transpose();
                Ok::<_, sqlx::Error>(ClaimPin {
                    state,
                    weak: row.try_get::<i64, _>("weak")? != 0,
                    pinned_at_ms: pinned_at_ms.map_err(undecodable)?,
                })
            })
            .transpose()?;
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
        let condition = "key_claim.station = $1 AND key_claim.fingerprint > $2";
        let sql =
            format!("{CLAIM_COLUMNS} WHERE {condition} ORDER BY key_claim.fingerprint LIMIT $3");
        let mut records: Vec<ClaimRecord> = sqlx::query_as(AssertSqlSafe(sql))
            .bind(station.as_bytes().to_vec())
            .bind(after.map_or_else(Vec::new, |after| after.to_vec()))
            .bind(i64::from(limit.min(PAGE_MAX)))
            .fetch_all(&self.pool)
            .await
            .map_err(explained(DOING))?;
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
        let head = format!("{CLAIM_COLUMNS} WHERE key_claim.fingerprint IN");
        let keys: Vec<_> = fingerprints.iter().map(|key| key.to_vec()).collect();
        let mut connection = self.pool.acquire().await.map_err(explained(DOING))?;
        let found = select_in(&mut connection, (&head, ""), &keys).await;
        drop(connection);
        let mut records = found.map_err(explained(DOING))?;
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
        let sql = "SELECT fingerprint, device_id, station FROM key_claim WHERE fingerprint IN";
        let keys: Vec<_> = fingerprints.iter().map(|key| key.to_vec()).collect();
        let mut connection = self.pool.acquire().await.map_err(explained(DOING))?;
        let rows: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> = select_in(&mut connection, (sql, ""), &keys)
            .await
            .map_err(explained(DOING))?;
        let owner = |(fingerprint, device, station): (Vec<u8>, Vec<u8>, Vec<u8>)| {
            Ok(KeyOwner {
                fingerprint: store::hash(&fingerprint)?,
                device_id: store::device_id(&device)?,
                station: station_id(&station)?,
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
        let sql = "SELECT device_id, fingerprint, weak, pinned_at_ms FROM pin WHERE state = 'active' AND device_id IN";
        let ids: Vec<_> = devices.iter().map(|id| id.0.as_bytes().to_vec()).collect();
        let mut connection = self.pool.acquire().await.map_err(explained(DOING))?;
        let rows: Vec<PinColumns> = select_in(&mut connection, (sql, ""), &ids)
            .await
            .map_err(explained(DOING))?;
        let pin = |(device, fingerprint, weak, pinned): PinColumns| {
            Ok(ActivePin {
                device_id: store::device_id(&device)?,
                fingerprint: store::hash(&fingerprint)?,
                weak: weak != 0,
                pinned_at_ms: pinned.map(store::unsigned).transpose()?,
            })
        };
        let pins: Result<_, StoreError> = rows.into_iter().map(pin).collect();
        pins.map_err(failed)
    }

    /// Reads the first proof of each key.
    async fn add_proofs(&self, records: &mut [ClaimRecord]) -> Result<(), RegistryError> {
        let keys: Vec<_> = records
            .iter()
            .map(|record| record.fingerprint.to_vec())
            .collect();
        let mut connection = self.pool.acquire().await.map_err(explained(DOING))?;
        // Of the proofs of one key only the first: a unit that comes back often leaves many.
        let head = "SELECT fingerprint, record FROM proof AS first WHERE NOT EXISTS \
             (SELECT 1 FROM proof AS earlier WHERE earlier.fingerprint = first.fingerprint \
              AND (earlier.accepted_at_ms < first.accepted_at_ms \
                   OR (earlier.accepted_at_ms = first.accepted_at_ms AND earlier.nonce < first.nonce))) \
             AND fingerprint IN";
        let rows: Vec<(Vec<u8>, String)> = select_in(&mut connection, (head, ""), &keys)
            .await
            .map_err(explained(DOING))?;
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
        const SELECT: &str = "SELECT kind, device_id, fingerprint, other_device_id, other_fingerprint, station, run, at_ms, id \
             FROM alarm WHERE station = $1 AND id > $2 ORDER BY id LIMIT $3";
        let limit = limit.clamp(1, PAGE_MAX);
        let rows: Vec<AnyRow> = sqlx::query(SELECT)
            .bind(station.as_bytes().to_vec())
            .bind(after.map_or_else(Vec::new, |after| after.to_vec()))
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(explained(DOING))?;
        let full = rows.len() == limit as usize;
        let last = rows.last().map(|row| id(&row.try_get::<Vec<u8>, _>("id")?));
        let next = last.transpose().map_err(explained(DOING))?;
        let read = |row: &AnyRow| {
            let columns = AlarmColumns::from_row(row)?;
            alarm(columns)
        };
        let alarms: Result<_, sqlx::Error> = rows.iter().map(read).collect();
        Ok(AlarmPage {
            alarms: alarms.map_err(explained(DOING))?,
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
        let rows: Vec<Columns> = sqlx::query_as(AssertSqlSafe(sql))
            .bind(origin)
            .bind(store::signed(after_size))
            .bind(i64::from(limit.min(PAGE_MAX)))
            .fetch_all(&self.pool)
            .await
            .map_err(explained(DOING))?;
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
        let station: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT station FROM log WHERE origin = $1")
                .bind(origin)
                .fetch_optional(&self.pool)
                .await
                .map_err(explained("reading whose a log is"))?;
        station
            .map(|bytes| station_id(&bytes))
            .transpose()
            .map_err(failed)
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
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT kind, origin, station, known_size, shown_size, note, at_ms FROM log_alarm WHERE origin = $1 \
             ORDER BY id DESC LIMIT $2",
        )
        .bind(origin)
        .bind(i64::from(limit.min(PAGE_MAX)))
        .fetch_all(&self.pool)
        .await
        .map_err(explained("reading the alarms of logs"))?;
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
