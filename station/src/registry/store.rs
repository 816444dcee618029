//! What a batch reads and writes. Everything here runs inside the batch's transaction.

use keyline_protocol::identity::DeviceId;
use sqlx::AnyConnection;

use super::bulk::{Bulk, select_in};
use super::decide::Decision;
use super::known::{Fingerprint, Known, KnownClaim, KnownPin, PinState, Writes};
use super::log_store;
use super::request::{Act, Request};
use crate::record::{DeviceIdText, ProductId};

/// Why a batch could not be read or written.
#[derive(Debug)]
pub(super) enum StoreError {
    /// The database said so.
    Database(sqlx::Error),
    /// A stored value is none: what, expected, found.
    Damaged(&'static str, &'static str, String),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// Thirty-two bytes.
pub(super) fn hash(bytes: &[u8]) -> Result<[u8; 32], StoreError> {
    bytes
        .try_into()
        .map_err(|_| StoreError::Damaged("a hash", "32 bytes", format!("{} bytes", bytes.len())))
}

/// Twelve bytes.
pub(super) fn device_id(bytes: &[u8]) -> Result<DeviceIdText, StoreError> {
    let bytes: [u8; 12] = bytes.try_into().map_err(|_| {
        StoreError::Damaged("a device id", "12 bytes", format!("{} bytes", bytes.len()))
    })?;
    Ok(DeviceIdText(DeviceId::from_bytes(bytes)))
}

/// Sixteen bytes.
fn product_id(bytes: &[u8]) -> Result<ProductId, StoreError> {
    let bytes = bytes.try_into().map_err(|_| {
        StoreError::Damaged("a product id", "16 bytes", format!("{} bytes", bytes.len()))
    })?;
    Ok(ProductId::from_bytes(bytes))
}

/// A number that is never negative.
pub(super) fn unsigned(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number)
        .map_err(|_| StoreError::Damaged("a number", "0 or more", number.to_string()))
}

/// A number as the databases keep it. Times stay far below 2^63.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The state that a column names.
pub(super) fn state(name: &str) -> Result<PinState, StoreError> {
    PinState::from_name(name)
        .ok_or_else(|| StoreError::Damaged("a pin's state", "one of four names", name.to_owned()))
}

/// Reads what the requests name.
pub(super) async fn read(
    connection: &mut AnyConnection,
    requests: &[Request],
) -> Result<Known, StoreError> {
    let mut fingerprints = Vec::new();
    let mut nonces = Vec::new();
    let mut devices = Vec::with_capacity(requests.len());
    for request in requests {
        match &request.act {
            Act::Claim(claim) => fingerprints.push(claim.fingerprint().to_vec()),
            Act::Pin(proof) => {
                fingerprints.push(proof.fingerprint().to_vec());
                nonces.push(proof.nonce.to_vec());
            }
            Act::Revoke { .. } | Act::Checkpoint(_) | Act::Close => {}
        }
        devices.extend(request.act.device_id().map(|id| id.0.as_bytes().to_vec()));
    }
    let mut known = Known::default();
    read_claims(connection, &mut known, &fingerprints).await?;
    read_pins(connection, &mut known, &devices).await?;
    let sql = "SELECT nonce, fingerprint FROM proof WHERE nonce IN";
    let rows: Vec<(Vec<u8>, Vec<u8>)> = select_in(connection, (sql, ""), &nonces).await?;
    for (nonce, fingerprint) in rows {
        known.nonces.insert(hash(&nonce)?, hash(&fingerprint)?);
    }
    log_store::read(connection, &mut known, requests).await?;
    Ok(known)
}

/// Fingerprint, device id, algorithm, public key, product.
type ClaimColumns = (Vec<u8>, Vec<u8>, String, Vec<u8>, Vec<u8>);

/// Device id, fingerprint, state, weak, pinned at.
type PinColumns = (Vec<u8>, Vec<u8>, String, i64, Option<i64>);

async fn read_claims(
    connection: &mut AnyConnection,
    known: &mut Known,
    fingerprints: &[Vec<u8>],
) -> Result<(), StoreError> {
    let sql = "SELECT fingerprint, device_id, algorithm, public_key, product FROM key_claim WHERE fingerprint IN";
    let rows: Vec<ClaimColumns> = select_in(connection, (sql, ""), fingerprints).await?;
    for (fingerprint, device, algorithm, public_key, product) in rows {
        let claim = KnownClaim {
            device_id: device_id(&device)?,
            algorithm,
            public_key,
            product: product_id(&product)?,
        };
        known.claims.insert(hash(&fingerprint)?, claim);
    }
    Ok(())
}

async fn read_pins(
    connection: &mut AnyConnection,
    known: &mut Known,
    devices: &[Vec<u8>],
) -> Result<(), StoreError> {
    let sql =
        "SELECT device_id, fingerprint, state, weak, pinned_at_ms FROM pin WHERE device_id IN";
    let rows: Vec<PinColumns> = select_in(connection, (sql, ""), devices).await?;
    for (device, fingerprint, name, weak, pinned) in rows {
        let pin = KnownPin {
            fingerprint: hash(&fingerprint)?,
            state: state(&name)?,
            weak: weak != 0,
            pinned_at_ms: pinned.map(unsigned).transpose()?,
        };
        known.pins.entry(device_id(&device)?).or_default().push(pin);
    }
    let sql = "SELECT device_id, MAX(sequence) FROM pin_history WHERE device_id IN";
    let rows: Vec<(Vec<u8>, i64)> =
        select_in(connection, (sql, "GROUP BY device_id"), devices).await?;
    for (device, sequence) in rows {
        known.sequences.insert(device_id(&device)?, sequence);
    }
    Ok(())
}

static CLAIMS: Bulk = Bulk::new(
    "INSERT INTO key_claim (fingerprint, device_id, algorithm, made, public_key, challenge, signature, station, customer, product, \
     work_order, run, rework, claimed_at_ms) VALUES",
    14,
    "",
);

static PINS: Bulk = Bulk::new(
    "INSERT INTO pin (device_id, fingerprint, state, weak, pinned_at_ms) VALUES",
    5,
    "ON CONFLICT (device_id, fingerprint) DO UPDATE SET state = excluded.state, weak = excluded.weak, \
     pinned_at_ms = excluded.pinned_at_ms",
);

static PROOFS: Bulk = Bulk::new(
    "INSERT INTO proof (nonce, device_id, fingerprint, record, accepted_at_ms) VALUES",
    5,
    "",
);

static HISTORY: Bulk = Bulk::new(
    "INSERT INTO pin_history (device_id, sequence, event, fingerprint, station, operator, reason, at_ms) VALUES",
    8,
    "",
);

static ALARMS: Bulk = Bulk::new(
    "INSERT INTO alarm (id, kind, device_id, fingerprint, other_device_id, other_fingerprint, station, run, at_ms) VALUES",
    9,
    "",
);

/// Writes what was decided.
pub(super) async fn write(
    connection: &mut AnyConnection,
    decision: Decision<'_>,
) -> Result<(), StoreError> {
    let Decision {
        known,
        writes,
        now_ms,
    } = decision;
    let now = signed(now_ms);
    write_claims(connection, &writes, now).await?;
    write_pins(connection, &known, &writes).await?;
    write_proofs(connection, &writes, now).await?;
    log_store::write(connection, &writes, now).await?;
    HISTORY
        .run(connection, writes.history.into_iter(), |query, row| {
            query
                .bind(row.device_id.0.as_bytes().to_vec())
                .bind(row.sequence)
                .bind(row.kind.name())
                .bind(row.fingerprint.to_vec())
                .bind(row.station.map(|id| id.as_bytes().to_vec()))
                .bind(row.operator)
                .bind(row.reason)
                .bind(now)
        })
        .await?;
    ALARMS
        .run(connection, writes.alarms.into_iter(), |query, row| {
            query
                .bind(crate::record::RunId::generate().as_bytes().to_vec())
                .bind(row.kind)
                .bind(row.device_id.0.as_bytes().to_vec())
                .bind(row.fingerprint.to_vec())
                .bind(row.other_device_id.map(|id| id.0.as_bytes().to_vec()))
                .bind(row.other_fingerprint.map(|key| key.to_vec()))
                .bind(row.station.as_bytes().to_vec())
                .bind(row.run.as_bytes().to_vec())
                .bind(now)
        })
        .await?;
    Ok(())
}

async fn write_claims(
    connection: &mut AnyConnection,
    writes: &Writes<'_>,
    now: i64,
) -> Result<(), StoreError> {
    CLAIMS
        .run(connection, writes.claims.iter(), |query, claim| {
            query
                .bind(claim.fingerprint().to_vec())
                .bind(claim.device_id.0.as_bytes().to_vec())
                .bind(claim.algorithm.0.name())
                .bind(claim.made.0.name())
                .bind(claim.public_key.clone())
                .bind(claim.challenge.to_vec())
                .bind(claim.signature.clone())
                .bind(claim.station.as_bytes().to_vec())
                .bind(claim.customer.clone())
                .bind(claim.product.as_bytes().to_vec())
                .bind(claim.order.as_bytes().to_vec())
                .bind(claim.run.as_bytes().to_vec())
                .bind(i64::from(claim.rework))
                .bind(now)
        })
        .await?;
    Ok(())
}

async fn write_pins(
    connection: &mut AnyConnection,
    known: &Known,
    writes: &Writes<'_>,
) -> Result<(), StoreError> {
    let mut rows: Vec<(DeviceIdText, &KnownPin)> = Vec::with_capacity(writes.pins.len());
    for (device, fingerprint) in &writes.pins {
        let pins = known.pins.get(device).into_iter().flatten();
        let found = |pin: &&KnownPin| pin.fingerprint == *fingerprint;
        rows.extend(pins.filter(found).map(|pin| (*device, pin)));
    }
    // A key makes room for the next one before that one is written: the indexes allow one a device at any moment.
    rows.sort_by_key(|(_, pin)| !pin.state.is_final());
    PINS.run(connection, rows.into_iter(), |query, (device, pin)| {
        query
            .bind(device.0.as_bytes().to_vec())
            .bind(pin.fingerprint.to_vec())
            .bind(pin.state.name())
            .bind(i64::from(pin.weak))
            .bind(pin.pinned_at_ms.map(signed))
    })
    .await?;
    Ok(())
}

async fn write_proofs(
    connection: &mut AnyConnection,
    writes: &Writes<'_>,
    now: i64,
) -> Result<(), StoreError> {
    let mut rows: Vec<(&crate::record::Proof, Fingerprint, String)> =
        Vec::with_capacity(writes.proofs.len());
    for proof in &writes.proofs {
        let record = serde_json::to_string(proof).map_err(|error| {
            StoreError::Damaged("a proof", "one that JSON can hold", error.to_string())
        })?;
        rows.push((proof, proof.fingerprint(), record));
    }
    PROOFS
        .run(
            connection,
            rows.into_iter(),
            |query, (proof, fingerprint, record)| {
                query
                    .bind(proof.nonce.to_vec())
                    .bind(proof.device_id.0.as_bytes().to_vec())
                    .bind(fingerprint.to_vec())
                    .bind(record)
                    .bind(now)
            },
        )
        .await?;
    Ok(())
}
