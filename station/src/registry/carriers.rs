//! Which devices carry which cloud key, page by page, for whoever may see all of them: by the newest proof under each active pin.

use std::collections::BTreeMap;

use sqlx::AssertSqlSafe;

use super::question::{id, undecodable};
use super::store::{self, StoreError};
use super::{Registry, RegistryError};
use crate::record::{DeviceIdText, Proof, StationId};

const DOING: &str = "reading which devices carry which cloud key";

/// The most devices of a page: with their proofs, some megabytes.
const PAGE_MAX: i64 = 1_000;

/// The most devices of a page that are counted only.
const COUNT_PAGE_MAX: i64 = 10_000;

/// Which devices are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CarrierFilter {
    /// All of the product.
    All,
    /// Those that carry this key.
    With([u8; 32]),
    /// Those of which no proof shows that they carry this key.
    Without([u8; 32]),
}

/// What a device has proven of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarriedKey {
    /// SHA-256 of the cloud key.
    pub fingerprint: [u8; 32],
    /// When the proof was accepted, in milliseconds since 1970.
    pub proven_at_ms: u64,
    /// The station before which it was proven.
    pub station: StationId,
    /// The proof, whole.
    pub proof: Box<Proof>,
}

/// A trusted device of a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carrier {
    /// The device.
    pub device_id: DeviceIdText,
    /// Its newest proof; `None` where it was imported and never proved itself.
    pub carried: Option<CarriedKey>,
}

/// Device id, cloud key, station, time and record of the proof.
type Columns = (
    Vec<u8>,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Option<i64>,
    Option<String>,
);

impl Registry {
    /// A page of a product's trusted devices by device id, after `after`; at most 1,000.
    ///
    /// # Errors
    /// [`RegistryError::NotAllowed`] where this role sees its own rows only, or where the database can't be reached or is damaged.
    pub async fn carriers(
        &self,
        product: &str,
        filter: CarrierFilter,
        after: Option<DeviceIdText>,
    ) -> Result<Vec<Carrier>, RegistryError> {
        let (condition, key) = match filter {
            CarrierFilter::All => ("", None),
            CarrierFilter::With(key) => ("AND cloud_key = $4", Some(key)),
            CarrierFilter::Without(key) => {
                ("AND (cloud_key IS NULL OR cloud_key <> $4)", Some(key))
            }
        };
        let sql = format!(
            "SELECT device_id, cloud_key, station, accepted_at_ms, record FROM carried_cloud_key \
             WHERE product = $1 AND device_id > $2 {condition} ORDER BY device_id LIMIT $3"
        );
        let mut question = sqlx::query_as(AssertSqlSafe(sql))
            .bind(product.to_owned())
            .bind(place(after))
            .bind(PAGE_MAX);
        if let Some(key) = key {
            question = question.bind(key.to_vec());
        }
        let rows: Vec<Columns> = self.connections.fetch(DOING, question).await?;
        let carriers: Result<_, StoreError> = rows.into_iter().map(carrier).collect();
        carriers.map_err(|error| super::constraint::explained(DOING)(undecodable(error)))
    }

    /// How many trusted devices of a product carry each cloud key; those that never proved themselves under `None`. It reads all of them,
    /// page by page.
    ///
    /// # Errors
    /// As [`carriers`](Self::carriers).
    pub async fn count_carriers(
        &self,
        product: &str,
    ) -> Result<BTreeMap<Option<[u8; 32]>, u64>, RegistryError> {
        let mut counts = BTreeMap::new();
        let mut after = Vec::new();
        loop {
            let question = sqlx::query_as(
                "SELECT device_id, cloud_key FROM carried_cloud_key WHERE product = $1 AND device_id > $2 ORDER BY device_id LIMIT $3",
            )
            .bind(product.to_owned())
            .bind(after.clone())
            .bind(COUNT_PAGE_MAX);
            let rows: Vec<(Vec<u8>, Option<Vec<u8>>)> =
                self.connections.fetch(DOING, question).await?;
            let Some((last, _)) = rows.last() else {
                return Ok(counts);
            };
            after.clone_from(last);
            for (_, key) in &rows {
                let key = key.as_deref().map(store::hash).transpose();
                let key =
                    key.map_err(|error| super::constraint::explained(DOING)(undecodable(error)))?;
                *counts.entry(key).or_default() += 1;
            }
        }
    }
}

fn place(after: Option<DeviceIdText>) -> Vec<u8> {
    after.map_or_else(Vec::new, |device| device.0.as_bytes().to_vec())
}

fn carrier(row: Columns) -> Result<Carrier, StoreError> {
    let (device, key, station, accepted, record) = row;
    let carried = match (key, station, accepted, record) {
        (Some(key), Some(station), Some(accepted), Some(record)) => Some(CarriedKey {
            fingerprint: store::hash(&key)?,
            proven_at_ms: store::unsigned(accepted)?,
            station: StationId::from_bytes(id(&station)?),
            proof: serde_json::from_str(&record).map_err(|error| {
                StoreError::Damaged("a proof", "JSON of a proof", error.to_string())
            })?,
        }),
        _ => None,
    };
    Ok(Carrier {
        device_id: store::device_id(&device)?,
        carried,
    })
}
