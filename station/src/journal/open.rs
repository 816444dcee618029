//! Opening a journal: schema, tree head, and what is held in memory. Nothing here grows with the number of finished units.

use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, SqliteConnection};

use super::clock::{LeafClock, Moment};
use super::error::database;
use super::log_keys;
use super::model::LogKey;
use super::question::interrupted;
use super::reader::JournalReader;
use super::row::{damaged, unsigned};
use super::state::{Dirty, Layer, OpenRun, OrderRow};
use super::store::{self, Entries};
use super::witnessing::Witnessing;
use super::writer::Writer;
use super::{JournalError, row};
use crate::audit::{Checkpoint, CheckpointSigners, Frontier, Leaf, VerifierKey, leaf_hash};

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/journal");

/// The schema version that this software can write. It grows when a migration makes older software unsafe.
const CLIENT: i64 = 1;

/// Pages of the write-ahead log before SQLite moves it into the database: 32 MiB, so that this happens a few times a second at most.
const CHECKPOINT_PAGES: &str = "8192";

/// The writer's page cache in KiB (SQLite: a negative `cache_size`).
const CACHE_KIBIBYTES: &str = "-65536";

/// Opens the journal and makes its writer.
pub(super) async fn open(
    path: &Path,
    signers: CheckpointSigners,
    origin: &str,
) -> Result<(Writer, JournalReader), JournalError> {
    let at_hand = signers.verifier_keys(origin)?;
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
        .statement_cache_capacity(256)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .pragma("cache_size", CACHE_KIBIBYTES)
        .disable_statement_logging()
        .connect()
        .await
        .map_err(database("opening the journal"))?;
    migrate(&mut connection).await?;
    let reader = JournalReader::open(path).await?;
    let keys = log_keys::of_log(&mut connection, &at_hand).await?;
    let in_force = keys.into_iter().filter(LogKey::in_force);
    let in_force: Vec<_> = in_force.map(|key| key.key).collect();
    log_keys::check_at_hand(&in_force, &at_hand)?;
    let last = last_entry(&mut connection).await?;
    let (frontier, note) = match head(&mut connection, &in_force, last.as_ref()).await? {
        Some(head) => head,
        None => begin_log(&mut connection, &at_hand, &signers).await?,
    };
    let last = last.map(|(_, leaf)| moment(&leaf)).transpose()?;
    let state = load_state(&reader).await?;
    let writer = Writer {
        connection,
        reader: reader.clone(),
        keys: Arc::new(RwLock::new(state.keys_in_force().into())),
        state,
        frontier,
        signers,
        origin: origin.to_owned(),
        clock: LeafClock::start(last),
        witnessing: Witnessing::default(),
        latest: tokio::sync::watch::Sender::new(note.into()),
        away_since_ms: None,
        outages: Arc::new(AtomicU64::new(0)),
        stopped: None,
    };
    Ok((writer, reader))
}

/// Brings the schema up to date. A newer schema is left alone, as long as it says that this software may write.
pub(super) async fn migrate(connection: &mut SqliteConnection) -> Result<(), JournalError> {
    let mut migrator = Migrator {
        migrations: MIGRATIONS.migrations.clone(),
        ..Migrator::DEFAULT
    };
    migrator.set_ignore_missing(true);
    migrator
        .run(&mut *connection)
        .await
        .map_err(JournalError::Migration)?;
    let needed: i64 = sqlx::query_scalar("SELECT min_client FROM meta WHERE id = 1")
        .fetch_one(connection)
        .await
        .map_err(database("reading the schema's version"))?;
    if needed > CLIENT {
        return Err(JournalError::TooNew {
            needed,
            ours: CLIENT,
        });
    }
    Ok(())
}

/// The index and leaf of the last entry.
async fn last_entry(
    connection: &mut SqliteConnection,
) -> Result<Option<(i64, Vec<u8>)>, JournalError> {
    sqlx::query_as("SELECT leaf_index, leaf FROM entry ORDER BY leaf_index DESC LIMIT 1")
        .fetch_optional(connection)
        .await
        .map_err(database("reading the last entry"))
}

/// When a leaf was made.
pub(super) fn moment(leaf: &[u8]) -> Result<Moment, JournalError> {
    let leaf = Leaf::decode(leaf)?;
    Ok(Moment {
        wall_ms: leaf.wall_ms,
        monotonic_ms: leaf.monotonic_ms,
        boot_id: leaf.boot_id,
    })
}

/// The stored tree head, held against the signatures of all keys in force and the last entry.
async fn head(
    connection: &mut SqliteConnection,
    in_force: &[VerifierKey],
    last: Option<&(i64, Vec<u8>)>,
) -> Result<Option<(Frontier, String)>, JournalError> {
    let stored: Option<(i64, Vec<u8>, String)> =
        sqlx::query_as("SELECT tree_size, frontier, note FROM tree_head WHERE id = 1")
            .fetch_optional(connection)
            .await
            .map_err(database("reading the tree head"))?;
    let entries = last.map_or(0, |(index, _)| index + 1);
    let Some((size, frontier, note)) = stored else {
        return match entries {
            0 => Ok(None),
            _ => Err(damaged(
                "the tree head",
                "one that covers the entries",
                "none",
            )),
        };
    };
    let frontier = Frontier::from_bytes(unsigned(size)?, &frontier)?;
    let checkpoint = Checkpoint::verify_all(&note, in_force)?;
    if checkpoint.size != frontier.size() || checkpoint.root != frontier.root() {
        return Err(damaged(
            "the tree head",
            format!(
                "{} leaves, root {}",
                checkpoint.size,
                hex::encode(checkpoint.root)
            ),
            format!(
                "{} leaves, root {}",
                frontier.size(),
                hex::encode(frontier.root())
            ),
        ));
    }
    if entries != size {
        return Err(damaged(
            "the entries",
            format!("{size} of them"),
            format!("{entries}"),
        ));
    }
    // The last leaf of an odd tree is a subtree of its own: a cheap look at whether entries and tree belong together.
    if let Some((_, leaf)) = last.filter(|_| size % 2 == 1)
        && !frontier.to_bytes().ends_with(&leaf_hash(leaf))
    {
        return Err(damaged(
            "the last entry",
            "the tree's last leaf",
            "another one",
        ));
    }
    Ok(Some((frontier, note)))
}

/// Signs and stores the checkpoint of an empty log. Its key is the first that the configuration names.
async fn begin_log(
    connection: &mut SqliteConnection,
    at_hand: &[VerifierKey],
    signers: &CheckpointSigners,
) -> Result<(Frontier, String), JournalError> {
    let frontier = Frontier::default();
    let mut state = Layer::default();
    let mut dirty = Dirty::default();
    for key in at_hand.iter().take(1) {
        let first = LogKey {
            key: key.clone(),
            added_at: None,
            retired_at: None,
        };
        dirty.log_keys.insert(key.to_string());
        state.log_keys.insert(key.to_string(), first);
    }
    let keys = state.signing_keys(&dirty);
    let checkpoint = Checkpoint {
        origin: keys.first().map_or("", |key| key.name()).to_owned(),
        size: 0,
        root: frontier.root(),
    };
    let note = signers.sign(&checkpoint, &keys).await?.to_string();
    let head = (&frontier, note.as_str());
    store::write(connection, head, Entries::default(), &state, &dirty).await?;
    Ok((frontier, note))
}

/// Products, orders, operators and the log's keys, and the runs that have no end with their units.
pub(super) async fn load_state(reader: &JournalReader) -> Result<Layer, JournalError> {
    let mut state = Layer::default();
    for product in reader.products().await? {
        state.products.insert(product.id, product);
    }
    for order in reader.orders().await? {
        let counts = reader.order_counts(order.id).await?.unwrap_or_default();
        let row = OrderRow {
            order,
            counts,
            whole: false,
        };
        state.orders.insert(row.order.id, row);
    }
    for operator in reader.operators().await? {
        state.operators.insert(operator.id.clone(), operator);
    }
    for bundle in reader.bundles().await? {
        let key = (bundle.kind, bundle.subject);
        state.bundles.insert(key, bundle.version);
    }
    for key in reader.log_keys().await? {
        state.log_keys.insert(key.key.to_string(), key);
    }
    for found in interrupted(&reader.pool).await? {
        let order = state.orders.get(&found.run.order).ok_or_else(|| {
            row::damaged(
                "a run's order",
                "one that exists",
                found.run.order.to_string(),
            )
        })?;
        let run = OpenRun {
            order: found.run.order,
            product: order.order.product,
            slot: found.run.slot,
            serial: found.run.serial,
            // Stored when the run began, and never written again.
            operator: String::new(),
            started_at_ms: found.run.started_at_ms,
            device_id: found.run.device_id,
            intended: found.intended,
            reached: found.done,
            stored: true,
            live: false,
            end: None,
        };
        state.runs.insert(found.run.id, run);
    }
    Ok(state)
}
