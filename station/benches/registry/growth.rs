//! What becomes of rates, look-ups and space as a registry grows.

use std::sync::Arc;
use std::time::Instant;

use keyline_protocol::identity::DeviceId;
use keyline_station::record::{Claim, DeviceIdText, Proof};
use keyline_station::registry::Registry;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};

use crate::common::Outcome;
use crate::server::Server;
use crate::{IN_FLIGHT, Units, enter, rate, report};

const DATABASE: &str = "growth";

/// The small registry.
const ROWS_MIN: u32 = 10_000;

/// How many rows one transaction fills in.
const FILLED: u32 = 1_000_000;

/// How many look-ups are timed.
const LOOKUPS: u32 = 10_000;

/// Measures a small registry, fills it up to `rows` devices, and measures it again.
pub(crate) async fn run(server: &Server, units: &Units, rows: u32) -> Outcome {
    server.registry(DATABASE).await?;
    let (small, large) = units.split_at(units.len() / 2);
    let mut before = None;
    let mut filled = 0;
    for (units, rows) in [(small, ROWS_MIN), (large, rows.max(ROWS_MIN))] {
        let begin = Instant::now();
        fill(server, filled + 1, rows, units)?;
        filled = rows;
        report(&format!(
            "{rows} devices (filled in {:.0} s, then analysed)",
            begin.elapsed().as_secs_f64()
        ));
        let registry = server.open(DATABASE).await?;
        look_up(&registry, rows).await?;
        let units = Arc::new(units.to_vec());
        let pins = rate(units.len(), enter(&registry, &units, IN_FLIGHT[1]).await?);
        registry.close().await;
        let beside = before.map_or(String::new(), |before: f64| {
            format!("; {:.2} of the small registry's", pins / before)
        });
        report(&format!(
            "  {} units entered, {} in flight: {pins:.0} pins/s{beside}",
            units.len(),
            IN_FLIGHT[1]
        ));
        before = before.or(Some(pins));
    }
    sizes(server)?;
    server.forget(DATABASE)
}

/// What stands in for a device's id, a fingerprint or a nonce: `letter` says which.
fn stand_in(letter: char, number: u32) -> [u8; 32] {
    Sha256::digest(format!("{letter}{number}")).into()
}

fn stand_in_sql(letter: char) -> String {
    format!("sha256(convert_to('{letter}' || n, 'UTF8'))")
}

/// Fills in devices as a station would have entered them, with ids in no order. Constraints and indexes are made anew afterwards, over
/// everything that is there, so that their pages are as full as can be: what grows by insertion takes up to half as much again.
fn fill(server: &Server, first: u32, last: u32, like: &[(Claim, Proof)]) -> Outcome {
    let restore = server.sql(DATABASE, DEFINITIONS)?;
    server.sql(DATABASE, DROP)?;
    let station = format!("'\\x{}'::bytea", hex::encode(server.station.as_bytes()));
    let (claim, proof) = like.first().ok_or("expected at least two units")?;
    let record = serde_json::to_string(proof)?;
    let [fingerprint, device, nonce, order, run, challenge] =
        ['f', 'd', 'n', 'o', 'r', 'c'].map(stand_in_sql);
    let device = format!("substring({device} FOR 12)");
    let id = |of: &str| format!("substring({of} FOR 16)");
    let (order, run) = (id(&order), id(&run));
    let public_key = hex::encode(&claim.public_key);
    let algorithm = claim.algorithm.0.name();
    let made = claim.made.0.name();
    let product = hex::encode(claim.product.as_bytes());
    let cloud_key = hex::encode(proof.cloud_key_fingerprint);
    for start in (first..=last).step_by(FILLED as usize) {
        let end = last.min(start + (FILLED - 1));
        let numbers = format!("FROM generate_series({start}, {end}) AS n");
        server.sql(
            DATABASE,
            &format!(
                "BEGIN;
                 INSERT INTO key_claim SELECT {fingerprint}, {device}, 1, 1, NULL, 'bench', '{algorithm}', '{made}', '\\x{public_key}',
                     {challenge}, {fingerprint} || {nonce}, {station}, 'bench', '\\x{product}', NULL, {order}, {run}, 0, n {numbers};
                 INSERT INTO proof SELECT {nonce}, {device}, {fingerprint}, {station}, '\\x{cloud_key}', '{record}', n {numbers};
                 INSERT INTO pin SELECT {device}, 1, 1, {nonce}, 0, {station}, n {numbers};
                 COMMIT"
            ),
        )?;
    }
    server.sql(DATABASE, &restore)?;
    server.sql(DATABASE, "VACUUM ANALYZE")?;
    server.sql(DATABASE, "CHECKPOINT")?;
    Ok(())
}

/// The statements that make what [`DROP`] takes away: keys first, then what refers to them.
const DEFINITIONS: &str = "
    SELECT string_agg(statement, '; ' ORDER BY turn) FROM (
        SELECT (contype = 'f')::int AS turn,
            format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) AS statement
        FROM pg_constraint
        WHERE (conrelid IN ('key_claim'::regclass, 'proof'::regclass, 'pin'::regclass) AND contype IN ('p', 'u', 'f'))
            OR (confrelid IN ('key_claim'::regclass, 'proof'::regclass, 'pin'::regclass))
        UNION ALL
        SELECT 0, pg_get_indexdef(indexrelid) FROM pg_index
        WHERE indrelid IN ('key_claim'::regclass, 'proof'::regclass, 'pin'::regclass)
            AND indexrelid NOT IN (SELECT conindid FROM pg_constraint WHERE contype IN ('p', 'u'))
    ) AS statements";

/// Takes away every index of the large tables, and what refers to one.
const DROP: &str = "
    DO $$
    DECLARE
        statement TEXT;
    BEGIN
        FOR statement IN
            SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) FROM pg_constraint
            WHERE (conrelid IN ('key_claim'::regclass, 'proof'::regclass, 'pin'::regclass) AND contype IN ('p', 'u', 'f'))
                OR (confrelid IN ('key_claim'::regclass, 'proof'::regclass, 'pin'::regclass))
            ORDER BY contype
        LOOP
            EXECUTE statement;
        END LOOP;
        FOR statement IN
            SELECT format('DROP INDEX %s', indexrelid::regclass) FROM pg_index
            WHERE indrelid IN ('key_claim'::regclass, 'proof'::regclass, 'pin'::regclass)
        LOOP
            EXECUTE statement;
        END LOOP;
    END
    $$";

/// Look-ups by one client, of devices all over the registry.
async fn look_up(registry: &Registry, rows: u32) -> Outcome {
    let mut random = SmallRng::seed_from_u64(1);
    let (mut by_device, mut by_fingerprint) = (Vec::new(), Vec::new());
    for _ in 0..LOOKUPS {
        let number = random.random_range(1..=rows);
        let mut device = [0; 12];
        device.copy_from_slice(&stand_in('d', number)[..12]);
        let device = DeviceIdText(DeviceId::from_bytes(device));
        let begin = Instant::now();
        let pin = registry.pin_of(device).await?;
        by_device.push(begin.elapsed().as_secs_f64());
        pin.ok_or("expected a pin by device id, found none")?;

        let fingerprint = stand_in('f', random.random_range(1..=rows));
        let begin = Instant::now();
        let pin = registry.by_fingerprint(fingerprint).await?;
        by_fingerprint.push(begin.elapsed().as_secs_f64());
        pin.ok_or("expected a pin by fingerprint, found none")?;
    }
    for (by, seconds) in [("device id", by_device), ("fingerprint", by_fingerprint)] {
        let (p50, p99) = percentiles(seconds);
        report(&format!(
            "  look-up by {by}, 1 client, {LOOKUPS} at random: p50 {p50:.3} ms, p99 {p99:.3} ms"
        ));
    }
    Ok(())
}

/// The milliseconds below which half and 99 of a hundred stay.
fn percentiles(mut seconds: Vec<f64>) -> (f64, f64) {
    seconds.sort_by(f64::total_cmp);
    let at = |percent: usize| seconds[(seconds.len() - 1) * percent / 100] * 1e3;
    (at(50), at(99))
}

/// What a device takes, by table and by index.
fn sizes(server: &Server) -> Outcome {
    let sizes = server.sql(
        DATABASE,
        "WITH parts AS (
             SELECT relname::text AS name, relkind, CASE relkind WHEN 'r' THEN pg_table_size(oid) ELSE pg_relation_size(oid) END AS bytes
             FROM pg_class
             WHERE oid IN ('key_claim'::regclass, 'proof'::regclass, 'pin'::regclass)
                 OR oid IN (SELECT indexrelid FROM pg_index
                     WHERE indrelid IN ('key_claim'::regclass, 'proof'::regclass, 'pin'::regclass))
         ), lines AS (
             SELECT name, relkind, bytes FROM parts
             UNION ALL
             SELECT 'everything', 'z', sum(pg_total_relation_size(oid))::bigint FROM pg_class
             WHERE oid IN ('key_claim'::regclass, 'proof'::regclass, 'pin'::regclass)
         )
         SELECT string_agg(format('  %s: %s bytes a device', name, round(bytes::numeric / (SELECT count(*) FROM pin))), E'\\n'
             ORDER BY relkind = 'z', relkind DESC, name)
         FROM lines",
    )?;
    report(&format!("  {sizes}"));
    Ok(())
}
