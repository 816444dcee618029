//! The schema is brought up to date: while older software goes on writing, after a migration that was cut off, and by the program.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use keyline_station::registry::{RegistryError, migrate};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use sqlx::any::AnyConnectOptions;
use sqlx::migrate::Migrator;
use sqlx::{AnyConnection, AssertSqlSafe, ConnectOptions as _, Connection as _};

use crate::fixture::{Place, both_engines};
use crate::program::{keyline, ran};

both_engines! {
    older_software_goes_on_writing_while_the_schema_is_brought_up_to_date,
    an_older_schema_is_refused_with_what_to_do,
    a_killed_migration_is_completed_by_the_next,
}

static ALL: Migrator = sqlx::migrate!("../migrations/registry");

/// The statements of the software that knew schema 2, as it had them: claim, proof and pin of one unit, and its log's checkpoint.
const STATEMENTS_OF_SCHEMA_2: [&str; 4] = [
    "INSERT INTO key_claim (fingerprint, device_id, generation, turn, revoked_generation, basis, algorithm, made, public_key, challenge, \
     signature, station, customer, product, work_order, run, rework, claimed_at_ms) \
     VALUES ($1, $2, 1, 1, NULL, 'bench', 'p256', 'on-device', $1, $1, $1, $3, 'acme', $3, $3, $3, 0, 1)",
    "INSERT INTO proof (nonce, device_id, fingerprint, station, cloud_key, record, accepted_at_ms) VALUES ($1, $2, $1, $3, $1, '{}', 2)",
    "INSERT INTO pin (device_id, generation, turn, nonce, weak, station, pinned_at_ms) VALUES ($2, 1, 1, $1, 0, $3, 3)",
    "INSERT INTO log (origin, station, first_shown_ms) VALUES ($1, $2, 4)",
];

/// Units that are there before the migration, and that are entered after it.
const UNITS: u32 = 50;
const PATIENCE: Duration = Duration::from_mins(1);
const SEEDS: u64 = 12;

/// Makes the registry as software of schema 2 left it.
async fn at_schema_2(place: &Place) {
    let mut connection = connect(&place.url()).await;
    let first_two: Vec<_> = ALL.migrations.iter().take(2).cloned().collect();
    assert_eq!(first_two[1].description, "checkpoints");
    let mut migrator = Migrator {
        migrations: first_two.into(),
        ..Migrator::DEFAULT
    };
    migrator.set_locking(false);
    migrator
        .run_direct(None, &mut connection, false)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

async fn connect(url: &str) -> AnyConnection {
    sqlx::any::install_default_drivers();
    let url = if url.starts_with("sqlite:") {
        format!("{url}?mode=rwc")
    } else {
        url.to_owned()
    };
    let options: AnyConnectOptions = url.parse().unwrap();
    options.connect().await.unwrap()
}

/// An empty database; on PostgreSQL without any schema.
fn empty(place: Place) -> Place {
    if let Place::Postgres(server) = &place {
        server
            .sql("owner", "postgres", "DROP DATABASE keyline")
            .unwrap();
        server.create_database("keyline");
    }
    place
}

/// Enters one unit as the software of schema 2 did: in one transaction, tried anew where it lost.
async fn enter(connection: &mut AnyConnection, engine: &Place, n: u32) {
    let begun = Instant::now();
    while let Err(error) = try_to_enter(connection, engine, n).await {
        let words = error.to_string();
        let lost = ["locked", "deadlock", "could not serialize"];
        assert!(
            lost.iter().any(|word| words.contains(word)) && begun.elapsed() < PATIENCE,
            "{n}: {error}"
        );
        // It may have failed inside of a transaction or at its beginning.
        let _ = sqlx::query("ROLLBACK").execute(&mut *connection).await;
    }
}

async fn try_to_enter(
    connection: &mut AnyConnection,
    engine: &Place,
    n: u32,
) -> Result<(), sqlx::Error> {
    let begin = match engine {
        Place::Sqlite(_) => "BEGIN IMMEDIATE",
        Place::Postgres(_) => "BEGIN ISOLATION LEVEL SERIALIZABLE",
    };
    let (key, device, station) = (bytes(32, n), bytes(12, n), bytes(16, 7));
    sqlx::query(begin).execute(&mut *connection).await?;
    for sql in &STATEMENTS_OF_SCHEMA_2[..3] {
        let mut statement = sqlx::query(*sql).bind(key.clone()).bind(device.clone());
        statement = statement.bind(station.clone());
        statement.execute(&mut *connection).await?;
    }
    sqlx::query(STATEMENTS_OF_SCHEMA_2[3])
        .bind(format!("log-{n}"))
        .bind(station)
        .execute(&mut *connection)
        .await?;
    sqlx::query("COMMIT").execute(connection).await?;
    Ok(())
}

fn bytes(length: usize, n: u32) -> Vec<u8> {
    let mut bytes = vec![0; length];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    bytes
}

async fn number(connection: &mut AnyConnection, sql: &str) -> i64 {
    let sql = AssertSqlSafe(sql.to_owned());
    sqlx::query_scalar(sql).fetch_one(connection).await.unwrap()
}

async fn older_software_goes_on_writing_while_the_schema_is_brought_up_to_date(place: Place) {
    let place = Arc::new(empty(place));
    at_schema_2(&place).await;
    let (entered, stopped) = (
        Arc::new(AtomicU32::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let older = older_software(&place, &entered, &stopped);
    let writer = tokio::spawn(older);
    let more = async |wanted: u32| {
        let (first, begun) = (entered.load(Ordering::Relaxed), Instant::now());
        while entered.load(Ordering::Relaxed) < first + wanted {
            assert!(begun.elapsed() < PATIENCE && !writer.is_finished());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    more(UNITS).await;
    let migrated = migrate(place.address()).await.unwrap();
    assert_eq!((migrated.from, migrated.to), (2, 5));
    more(UNITS).await;
    stopped.store(true, Ordering::Relaxed);
    writer.await.unwrap();

    let expected = i64::from(entered.load(Ordering::Relaxed));
    check(&place, expected).await;
}

/// Enters one unit after the other, until it is stopped.
fn older_software(
    place: &Arc<Place>,
    entered: &Arc<AtomicU32>,
    stopped: &Arc<AtomicBool>,
) -> impl Future<Output = ()> + Send + use<> {
    let (place, entered, stopped) = (Arc::clone(place), Arc::clone(entered), Arc::clone(stopped));
    async move {
        let mut connection = connect(&place.url()).await;
        while !stopped.load(Ordering::Relaxed) {
            enter(&mut connection, &place, entered.load(Ordering::Relaxed)).await;
            entered.fetch_add(1, Ordering::Relaxed);
            if matches!(*place, Place::Sqlite(_)) {
                // SQLite wakes whoever waits by chance: a writer without a pause lets nobody in.
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
        connection.close().await.unwrap();
    }
}

/// Everything that was entered is there, and the old constraints and the new ones hold.
async fn check(place: &Place, expected: i64) {
    let mut connection = connect(&place.url()).await;
    for table in ["key_claim", "proof", "pin", "log"] {
        let sql = format!("SELECT COUNT(*) FROM {table}");
        assert_eq!(number(&mut connection, &sql).await, expected, "{table}");
    }
    let active = "SELECT COUNT(*) FROM key_state WHERE state = 'active'";
    assert_eq!(number(&mut connection, active).await, expected);
    let again = try_to_enter(&mut connection, place, 0).await.unwrap_err();
    assert!(
        again.to_string().to_lowercase().contains("unique"),
        "{again}"
    );
    connection.close().await.unwrap();
    // The new constraints hold for the old rows too.
    let dangling = "INSERT INTO station_retirement VALUES ('x', NULL, 'op-1', 'none', 1)";
    let pragma = "PRAGMA foreign_keys = ON; ";
    let refused = match place {
        Place::Sqlite(_) => place.execute(&format!("{pragma}{dangling}")).await,
        Place::Postgres(_) => place.execute(dangling).await,
    };
    assert!(
        refused
            .unwrap_err()
            .to_lowercase()
            .contains("foreign key constraint")
    );
    let registry = place.open().await;
    registry.ping().await.unwrap();
    registry.close().await;
}

async fn an_older_schema_is_refused_with_what_to_do(place: Place) {
    let place = empty(place);
    if let Place::Sqlite(_) = place {
        // A file is this software's own to bring up to date.
        at_schema_2(&place).await;
        place.open().await.ping().await.unwrap();
        return;
    }
    for (found, schema) in [(0, "no schema"), (2, "an old one")] {
        if found == 2 {
            at_schema_2(&place).await;
        }
        let registry = place.open().await;
        let error = registry.ping().await.unwrap_err();
        assert!(
            matches!(error, RegistryError::NoSchema { expected: 5, found: is } if is == found),
            "{schema}: {error}"
        );
        assert_eq!(
            error.to_string(),
            format!("the registry needs schema 5 or newer, this one has {found}")
        );
        assert_eq!(
            error.next(),
            "Have the owner of the registry run `keyline registry migrate`."
        );
    }
}

/// Everything that a schema is made of, but when it was made.
async fn made(url: &str) -> Vec<String> {
    let sql = if url.starts_with("sqlite:") {
        "SELECT COALESCE(sql, name) FROM sqlite_master UNION ALL SELECT 'migration ' || version || success FROM _sqlx_migrations ORDER BY 1"
    } else {
        "SELECT made FROM (
            SELECT 'constraint ' || conrelid::regclass || pg_get_constraintdef(oid) AS made FROM pg_constraint
            WHERE connamespace = 'public'::regnamespace
            UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public'
            UNION ALL SELECT 'function ' || oid::regprocedure || COALESCE(proacl::text, '') FROM pg_proc
            WHERE pronamespace = 'public'::regnamespace
            UNION ALL SELECT 'policy ' || tablename || policyname || COALESCE(qual, '') || COALESCE(with_check, '') FROM pg_policies
            UNION ALL SELECT 'table ' || relname || relrowsecurity || COALESCE(relacl::text, '') FROM pg_class
            WHERE relnamespace = 'public'::regnamespace
            UNION ALL SELECT 'migration ' || version || success FROM _sqlx_migrations
        ) AS everything ORDER BY 1"
    };
    let mut connection = connect(url).await;
    let rows = sqlx::query_scalar(sql).fetch_all(&mut connection).await;
    connection.close().await.unwrap();
    rows.unwrap()
}

async fn a_killed_migration_is_completed_by_the_next(place: Place) {
    let whole = made(&migrated(&place).await).await;
    assert!(whole.len() > 20, "{whole:#?}");
    for seed in 0..SEEDS {
        let fresh;
        let url = match &place {
            Place::Sqlite(_) => {
                fresh = Place::sqlite();
                fresh.url()
            }
            // A database of its own on the same server, where the roles are there already.
            Place::Postgres(server) => {
                server.create_database(&format!("registry_{seed}"));
                server.url("owner", &format!("registry_{seed}"))
            }
        };
        let mut random = SmallRng::seed_from_u64(seed);
        let mut child = keyline("migrate", &url)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_micros(random.random_range(0..150_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        let ran = ran(&mut keyline("migrate", &url));
        assert_eq!(ran.code, 0, "seed {seed}: {:?}", ran.lines);
        assert_eq!(made(&url).await, whole, "seed {seed}");
    }
}

/// The address of a registry that was brought up to date.
async fn migrated(place: &Place) -> String {
    migrate(place.address()).await.unwrap();
    place.url()
}

/// A migration is held up at one of its statements, and its connection is ended there: nothing is left to chance.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_cut_off_inside_leaves_what_came_before_it_and_says_so() {
    let place = empty(Place::postgres().await);
    at_schema_2(&place).await;
    let mut holder = connect(&place.url()).await;
    for sql in ["BEGIN", "LOCK TABLE log_alarm IN ACCESS EXCLUSIVE MODE"] {
        sqlx::query(sql).execute(&mut holder).await.unwrap();
    }
    // A connection of its own: inside of a transaction a server's activity is shown as it was at the first look.
    let mut onlooker = connect(&place.url()).await;
    let migration = tokio::spawn(migrate(place.address()));
    let begun = Instant::now();
    let held_up = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE application_name = 'keyline' AND wait_event_type = 'Lock' AND datname = 'keyline'";
    while number(&mut onlooker, held_up).await == 0 {
        assert!(begun.elapsed() < PATIENCE && !migration.is_finished());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let error = migration.await.unwrap().unwrap_err();
    assert!(matches!(error, RegistryError::Migration(_)), "{error}");
    assert_eq!(
        error.next(),
        "Run it as the owner of the database, who may make roles; what was done stays done, and running it again goes on."
    );
    onlooker.close().await.unwrap();
    holder.close().await.unwrap();

    let cut_off = ran(&mut keyline("status", &place.url()));
    assert_eq!(cut_off.code, 3);
    assert_eq!(cut_off.only("registry")["schema"], 5);
    assert_eq!(
        cut_off.only("error")["error"]["message"],
        "expected the roles and policies of the registry, found none: a migration was cut off"
    );
    let finished = ran(&mut keyline("migrate", &place.url()));
    assert_eq!(finished.code, 0, "{:?}", finished.lines);
    assert_eq!(finished.only("registry")["schema_before"], 5);
    assert_eq!(ran(&mut keyline("status", &place.url())).code, 0);
}
