//! What a batch reads and writes. Everything here runs inside the batch's transaction.

use std::collections::HashSet;

use keyline_protocol::identity::DeviceId;
use sqlx::AnyConnection;

use super::acts::{NewKey, TwoPersonAct};
use super::address::Engine;
use super::decide::Decision;
use super::known::{Basis, ClaimRow, Known, KnownKey, PinRow, PinState, RevocationRow, RevokedBy};
use super::log_store::{self, station_id};
use super::model::{ImportRow, ImportTerms};
use super::request::{Names, Request};
use super::rows::{Kind, Lookup, Table, Value};
use super::{RegistryError, act_store, alarm_store, serial_store};
use crate::record::{Claim, DeviceIdText, ProductId, Proof};

/// Why a batch could not be read or written.
#[derive(Debug)]
pub(super) enum StoreError {
    /// The database said so.
    Database(sqlx::Error),
    /// A stored value is none: what, expected, found.
    Damaged(&'static str, &'static str, String),
    /// The registry could not be reached, or does not let us.
    Refused(Box<RegistryError>),
}

impl From<RegistryError> for StoreError {
    fn from(error: RegistryError) -> Self {
        Self::Refused(Box::new(error))
    }
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

const KEY_COLUMNS: &str = "fingerprint, device_id, generation, turn, algorithm, public_key, product, station, state, weak";

static KEYS_BY_FINGERPRINT: Lookup = Lookup {
    columns: KEY_COLUMNS,
    table: "key_state",
    column: "fingerprint",
    function: "keys_by_fingerprint",
};

static KEYS_BY_DEVICE: Lookup = Lookup {
    columns: KEY_COLUMNS,
    table: "key_state",
    column: "device_id",
    function: "keys_by_device",
};

static PROOFS_BY_NONCE: Lookup = Lookup {
    columns: "nonce, fingerprint",
    table: "proof",
    column: "nonce",
    function: "proofs_by_nonce",
};

/// Reads what the requests name.
pub(super) async fn read(
    engine: Engine,
    connection: &mut AnyConnection,
    requests: &[Request],
) -> Result<Known, StoreError> {
    let mut names = Names::default();
    for request in requests {
        request.act.names(&mut names);
    }
    let mut known = Known::default();
    let by_key = KEYS_BY_FINGERPRINT.fetch(engine, connection, &names.fingerprints);
    for row in by_key.await? {
        add(&mut known, row)?;
    }
    let by_device = KEYS_BY_DEVICE.fetch(engine, connection, &names.devices);
    for row in by_device.await? {
        add(&mut known, row)?;
    }
    let proofs = PROOFS_BY_NONCE.fetch(engine, connection, &names.nonces);
    let proofs: Vec<(Vec<u8>, Vec<u8>)> = proofs.await?;
    for (nonce, fingerprint) in proofs {
        known.nonces.insert(hash(&nonce)?, hash(&fingerprint)?);
    }
    serial_store::read(engine, connection, &mut known, &names).await?;
    read_builds(connection, &mut known, requests).await?;
    for product in names.products {
        let question = sqlx::query_scalar(
            "SELECT COUNT(*) FROM authority_bundle WHERE kind = 'product' AND subject = $1",
        );
        let bundles: i64 = question.bind(&product).fetch_one(&mut *connection).await?;
        if bundles > 0 {
            known.products.insert(product);
        }
    }
    for act in names.acts {
        for (sql, found) in [
            (
                "SELECT COUNT(*) FROM act_request WHERE id = $1",
                &mut known.requests,
            ),
            (
                "SELECT COUNT(*) FROM act_approval WHERE request = $1",
                &mut known.acts,
            ),
        ] {
            let question = sqlx::query_scalar(sql).bind(act.to_vec());
            let rows: i64 = question.fetch_one(&mut *connection).await?;
            if rows > 0 {
                found.insert(act);
            }
        }
    }
    log_store::read(engine, connection, &mut known, requests).await?;
    Ok(known)
}

/// Reads the names of the products whose ids differ between a proof and its claim: rarely any.
async fn read_builds(
    connection: &mut AnyConnection,
    known: &mut Known,
    requests: &[Request],
) -> Result<(), StoreError> {
    let proofs = requests.iter().filter_map(|request| request.act.proof());
    let differing = proofs.filter_map(|proof| {
        let claimed = known.key(&proof.fingerprint())?.product?;
        (claimed != proof.product).then_some([claimed, proof.product])
    });
    let ids: HashSet<ProductId> = differing.flatten().collect();
    for id in ids {
        let question = sqlx::query_scalar("SELECT product FROM product_build WHERE id = $1");
        let question = question.bind(id.as_bytes().to_vec());
        let name: Option<String> = question.fetch_optional(&mut *connection).await?;
        known.builds.extend(name.map(|name| (id, name)));
    }
    Ok(())
}

/// As [`KEY_COLUMNS`].
type KeyColumns = (
    Vec<u8>,
    Vec<u8>,
    i64,
    i64,
    String,
    Vec<u8>,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    String,
    i64,
);

fn add(known: &mut Known, row: KeyColumns) -> Result<(), StoreError> {
    let (fingerprint, device, generation, turn, algorithm, public_key, product, by, name, weak) =
        row;
    let key = KnownKey {
        device_id: device_id(&device)?,
        generation,
        turn,
        algorithm,
        public_key,
        product: product.map(|bytes| product_id(&bytes)).transpose()?,
        station: by.map(|bytes| station_id(&bytes)).transpose()?,
        state: state(&name)?,
        weak: weak != 0,
    };
    known.add(hash(&fingerprint)?, key);
    Ok(())
}

static CLAIMS: Table = Table::new(
    "key_claim",
    &[
        ("fingerprint", Kind::Blob),
        ("device_id", Kind::Blob),
        ("generation", Kind::Integer),
        ("turn", Kind::Integer),
        ("revoked_generation", Kind::Integer),
        ("basis", Kind::Text),
        ("algorithm", Kind::Text),
        ("made", Kind::Text),
        ("public_key", Kind::Blob),
        ("challenge", Kind::Blob),
        ("signature", Kind::Blob),
        ("station", Kind::Blob),
        ("customer", Kind::Text),
        ("product", Kind::Blob),
        ("product_name", Kind::Text),
        ("work_order", Kind::Blob),
        ("run", Kind::Blob),
        ("rework", Kind::Integer),
        ("claimed_at_ms", Kind::Integer),
        ("act", Kind::Blob),
    ],
);

static PROOFS: Table = Table::new(
    "proof",
    &[
        ("nonce", Kind::Blob),
        ("device_id", Kind::Blob),
        ("fingerprint", Kind::Blob),
        ("station", Kind::Blob),
        ("cloud_key", Kind::Blob),
        ("record", Kind::Text),
        ("accepted_at_ms", Kind::Integer),
    ],
);

static PINS: Table = Table::new(
    "pin",
    &[
        ("device_id", Kind::Blob),
        ("generation", Kind::Integer),
        ("turn", Kind::Integer),
        ("nonce", Kind::Blob),
        ("weak", Kind::Integer),
        ("station", Kind::Blob),
        ("pinned_at_ms", Kind::Integer),
    ],
);

static REVOCATIONS: Table = Table::new(
    "pin_revocation",
    &[
        ("device_id", Kind::Blob),
        ("generation", Kind::Integer),
        ("act", Kind::Blob),
        ("station", Kind::Blob),
        ("operator", Kind::Text),
        ("reason", Kind::Text),
        ("revoked_at_ms", Kind::Integer),
    ],
);

/// Writes what was decided: a pin after its claim and its proof, as they refer to each other.
pub(super) async fn write(
    engine: Engine,
    connection: &mut AnyConnection,
    decision: Decision<'_>,
) -> Result<(), StoreError> {
    let Decision {
        known,
        writes,
        now_ms,
    } = decision;
    let now = signed(now_ms);
    act_store::write(engine, connection, &known, &writes, now).await?;
    // A revocation opens the next generation; one of a pin that is entered in this batch comes after it.
    let pins = writes.pins.iter();
    let new_pins: HashSet<_> = pins.map(|pin| (pin.device_id, pin.generation)).collect();
    let (after, before): (Vec<_>, Vec<_>) = writes
        .revocations
        .iter()
        .partition(|row| new_pins.contains(&(row.device_id, row.generation)));
    let before = before.into_iter().map(|row| revocation_row(row, now));
    REVOCATIONS
        .insert(engine, connection, before.collect())
        .await?;
    let claims = writes.claims.iter().map(|row| claim_row(row, now));
    CLAIMS.insert(engine, connection, claims.collect()).await?;
    let proofs: Result<_, StoreError> = writes
        .proofs
        .iter()
        .map(|proof| proof_row(proof, now))
        .collect();
    PROOFS.insert(engine, connection, proofs?).await?;
    let pins = writes.pins.iter().map(|row| pin_row(row, now));
    PINS.insert(engine, connection, pins.collect()).await?;
    serial_store::write(engine, connection, &writes, now).await?;
    let after = after.into_iter().map(|row| revocation_row(row, now));
    REVOCATIONS
        .insert(engine, connection, after.collect())
        .await?;
    alarm_store::write(engine, connection, &writes, now).await?;
    log_store::write(engine, connection, &writes, now).await
}

fn claim_row(row: &ClaimRow<'_>, now: i64) -> Vec<Value> {
    let place = [
        row.generation.into(),
        row.turn.into(),
        Some(row.generation - 1).filter(|before| *before > 0).into(),
    ];
    match row.basis {
        Basis::Bench(claim) => bench_row(claim, place, now),
        Basis::Import(import, terms) => import_row(import, terms, place, now),
        Basis::Rotation(act, new) => rotation_row(act, new, place, now),
    }
}

fn bench_row(claim: &Claim, place: [Value; 3], now: i64) -> Vec<Value> {
    let [generation, turn, revoked_generation] = place;
    vec![
        claim.fingerprint()[..].into(),
        claim.device_id.0.as_bytes()[..].into(),
        generation,
        turn,
        revoked_generation,
        "bench".into(),
        claim.algorithm.0.name().into(),
        claim.made.0.name().into(),
        claim.public_key[..].into(),
        claim.challenge[..].into(),
        claim.signature[..].into(),
        claim.station.as_bytes()[..].into(),
        claim.customer.as_str().into(),
        claim.product.as_bytes()[..].into(),
        Value::Null,
        claim.order.as_bytes()[..].into(),
        claim.run.as_bytes()[..].into(),
        i64::from(claim.rework).into(),
        now.into(),
        Value::Null,
    ]
}

fn import_row(import: &ImportRow, terms: &ImportTerms, place: [Value; 3], now: i64) -> Vec<Value> {
    let [generation, turn, revoked_generation] = place;
    vec![
        import.fingerprint()[..].into(),
        import.device_id.0.as_bytes()[..].into(),
        generation,
        turn,
        revoked_generation,
        "import".into(),
        import.algorithm.0.name().into(),
        Value::Null,
        import.public_key[..].into(),
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Null,
        import.product.as_deref().into(),
        Value::Null,
        terms.id.as_bytes()[..].into(),
        0.into(),
        now.into(),
        Value::Null,
    ]
}

/// What shows the possession of the new key is its signature over the act.
fn rotation_row(act: &TwoPersonAct, new: &NewKey, place: [Value; 3], now: i64) -> Vec<Value> {
    let [generation, turn, revoked_generation] = place;
    vec![
        new.fingerprint()[..].into(),
        act.device_id.0.as_bytes()[..].into(),
        generation,
        turn,
        revoked_generation,
        "rotation".into(),
        new.algorithm.0.name().into(),
        Value::Null,
        new.public_key[..].into(),
        act.id[..].into(),
        new.signature[..].into(),
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Null,
        0.into(),
        now.into(),
        act.id[..].into(),
    ]
}

fn proof_row(proof: &Proof, now: i64) -> Result<Vec<Value>, StoreError> {
    let record = serde_json::to_string(proof).map_err(|error| {
        StoreError::Damaged("a proof", "one that JSON can hold", error.to_string())
    })?;
    Ok(vec![
        proof.nonce[..].into(),
        proof.device_id.0.as_bytes()[..].into(),
        proof.fingerprint()[..].into(),
        proof.station.as_bytes()[..].into(),
        proof.cloud_key_fingerprint[..].into(),
        Value::Text(record),
        now.into(),
    ])
}

fn pin_row(row: &PinRow<'_>, now: i64) -> Vec<Value> {
    vec![
        row.device_id.0.as_bytes()[..].into(),
        row.generation.into(),
        row.turn.into(),
        row.proof.map(|proof| &proof.nonce[..]).into(),
        i64::from(row.proof.is_some_and(|proof| proof.weak)).into(),
        row.proof.map(|proof| &proof.station.as_bytes()[..]).into(),
        now.into(),
    ]
}

fn revocation_row(row: &RevocationRow<'_>, now: i64) -> Vec<Value> {
    let (act, station, operator, reason) = match row.by {
        RevokedBy::Station(revocation) => (
            Value::Null,
            revocation.station.as_bytes()[..].into(),
            revocation.operator.as_str(),
            revocation.reason.as_str(),
        ),
        RevokedBy::Act(act) => (
            act.id[..].into(),
            Value::Null,
            act.requester.as_str(),
            act.reason.as_str(),
        ),
    };
    vec![
        row.device_id.0.as_bytes()[..].into(),
        row.generation.into(),
        act,
        station,
        operator.into(),
        reason.into(),
        now.into(),
    ]
}
