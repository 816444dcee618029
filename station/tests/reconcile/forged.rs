//! A thief who has the log's key: he writes the past anew and signs it.

use futures_util::FutureExt as _;
use keyline_protocol::identity::DeviceId;
use keyline_station::audit::{
    Checkpoint, CheckpointSigner, FileSigner, Frontier, Leaf, commitment, leaf_hash,
};
use keyline_station::reconcile::Code;
use keyline_station::record::DeviceIdText;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::story::{ORIGIN, Station, told};
use crate::verify::{Asked, verify};

/// An entry whose leaf can be made anew.
pub(crate) struct Entry {
    pub(crate) index: i64,
    pub(crate) leaf: Vec<u8>,
    pub(crate) salt: Vec<u8>,
    pub(crate) body: String,
}

/// What a leaf says beside its body.
pub(crate) struct Said {
    pub(crate) wall_ms: u64,
    pub(crate) monotonic_ms: u64,
    pub(crate) boot_id: [u8; 16],
}

impl Entry {
    /// Changes times and body, and commits to them again.
    pub(crate) fn forge(&mut self, change: impl FnOnce(&mut Said, &mut String)) {
        let old = self.leaf.clone();
        let leaf = Leaf::decode(&old).unwrap();
        let mut said = Said {
            wall_ms: leaf.wall_ms,
            monotonic_ms: leaf.monotonic_ms,
            boot_id: leaf.boot_id,
        };
        change(&mut said, &mut self.body);
        let salt: [u8; 32] = self.salt[..].try_into().unwrap();
        let device = |id: DeviceIdText| DeviceIdText(DeviceId::from_bytes(*id.0.as_bytes()));
        self.leaf = Leaf {
            wall_ms: said.wall_ms,
            monotonic_ms: said.monotonic_ms,
            boot_id: said.boot_id,
            device_id: leaf.device_id.map(device),
            commitment: commitment(&salt, self.body.as_bytes()),
            ..leaf
        }
        .encode();
    }
}

async fn open(station: &Station) -> sqlx::SqliteConnection {
    sqlx::sqlite::SqliteConnectOptions::new()
        .filename(station.path("journal.db"))
        .foreign_keys(false)
        .connect()
        .await
        .unwrap()
}

pub(crate) async fn notes(station: &Station) -> Vec<(i64, String)> {
    let mut connection = open(station).await;
    sqlx::query_as("SELECT tree_size, note FROM checkpoint ORDER BY tree_size")
        .fetch_all(&mut connection)
        .await
        .unwrap()
}

/// Writes the log anew: changed entries, and every checkpoint that covers a changed one signed again.
pub(crate) async fn forge(station: &Station, change: impl Fn(&mut Entry)) {
    forge_signed(station, &station.signer(), change).await;
}

async fn forge_signed(station: &Station, signer: &CheckpointSigner, change: impl Fn(&mut Entry)) {
    let mut connection = open(station).await;
    let rows: Vec<(i64, Vec<u8>, Vec<u8>, String)> =
        sqlx::query_as("SELECT leaf_index, leaf, salt, body FROM entry ORDER BY leaf_index")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    let mut frontier = Frontier::default();
    let mut sizes: std::collections::VecDeque<_> = notes(station).await.into();
    let key = signer.verifier_key(ORIGIN).unwrap();
    let mut last = None;
    let mut rows = rows.into_iter();
    loop {
        let due = |(size, _): &(i64, String)| u64::try_from(*size).unwrap() == frontier.size();
        if sizes.front().is_some_and(due) {
            let (size, old) = sizes.pop_front().unwrap();
            let checkpoint = Checkpoint {
                origin: ORIGIN.to_owned(),
                size: frontier.size(),
                root: frontier.root(),
            };
            let note = checkpoint
                .sign(&key, signer)
                .now_or_never()
                .unwrap()
                .unwrap()
                .to_string();
            if note != old {
                sqlx::query("UPDATE checkpoint SET note = ?1 WHERE tree_size = ?2")
                    .bind(&note)
                    .bind(size)
                    .execute(&mut connection)
                    .await
                    .unwrap();
            }
            last = Some(note);
        }
        let Some((index, leaf, salt, body)) = rows.next() else {
            break;
        };
        let mut entry = Entry {
            index,
            leaf,
            salt,
            body,
        };
        change(&mut entry);
        frontier.append(leaf_hash(&entry.leaf));
        sqlx::query("UPDATE entry SET leaf = ?1, body = ?2 WHERE leaf_index = ?3")
            .bind(&entry.leaf)
            .bind(&entry.body)
            .bind(index)
            .execute(&mut connection)
            .await
            .unwrap();
    }
    sqlx::query("UPDATE tree_head SET frontier = ?1, note = ?2")
        .bind(frontier.to_bytes())
        .bind(last.unwrap())
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_the_same_log_again_changes_nothing() {
    let station = tokio::task::spawn_blocking(told).await.unwrap();
    forge(&station, |_| {}).await;
    let found = verify(&station).await;
    assert!(found.violations().is_empty(), "{:#?}", found.violations());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_past_written_anew_is_a_fork_to_whoever_saw_the_old_one() {
    let station = tokio::task::spawn_blocking(told).await.unwrap();
    // Who retired the product, long ago.
    forge(&station, |entry| {
        if entry.body.contains("product-retired") {
            entry.forge(|_, body| *body = body.replace("op-1", "op-2"));
        }
    })
    .await;
    let found = verify(&station).await;
    let fork = found.expect(Code::LogForked, "its past is another one");
    assert!(
        fork.place.contains("the registry's checkpoint of"),
        "{fork:?}"
    );
    // The proofs behind it name checkpoints of the old past.
    found.expect(
        Code::NonceCheckpointUnknown,
        "expected a nonce over a checkpoint",
    );
    assert!(
        found.all(Code::RootDiffers).is_empty(),
        "the new past is whole in itself"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_signed_with_another_key_is_named() {
    let station = tokio::task::spawn_blocking(told).await.unwrap();
    let other = FileSigner::generate(&station.path("other.pem")).unwrap();
    let other = CheckpointSigner::File(other);
    forge_signed(&station, &other, |_| {}).await;
    let found = verify(&station).await;
    let name = format!("{ORIGIN}+{:08x}", station.key().key_id());
    found.expect(
        Code::CheckpointNotSigned,
        &format!("expected a signature by {name}, found none"),
    );

    // Whoever trusts the other key as well sees the proofs and the registry contradict it.
    let mut asked = Asked::everything(&station);
    asked.keys = vec![other.verifier_key(ORIGIN).unwrap()];
    let found = asked.verify(&station).await;
    found.expect(
        Code::ForeignCheckpointNotSigned,
        "expected a signature by a key of this log",
    );
    found.expect(
        Code::NonceCheckpointUnknown,
        "expected a nonce over a checkpoint",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_checkpoint_signed_with_another_key_is_named() {
    let station = tokio::task::spawn_blocking(told).await.unwrap();
    let other = CheckpointSigner::File(FileSigner::generate(&station.path("other.pem")).unwrap());
    let (size, note) = notes(&station).await.swap_remove(10);
    let text = keyline_station::audit::SignedNote::parse(&note)
        .unwrap()
        .text;
    let checkpoint = Checkpoint::parse(&text).unwrap();
    let key = other.verifier_key(ORIGIN).unwrap();
    let forged = checkpoint
        .sign(&key, &other)
        .now_or_never()
        .unwrap()
        .unwrap()
        .to_string();
    let mut connection = open(&station).await;
    sqlx::query("UPDATE checkpoint SET note = ?1 WHERE tree_size = ?2")
        .bind(forged)
        .bind(size)
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let found = verify(&station).await;
    found.expect(
        Code::CheckpointNotSigned,
        &format!("checkpoint of {size} leaves"),
    );
    assert_eq!(found.all(Code::CheckpointNotSigned).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_was_set_back_is_found_in_its_leaf() {
    let station = tokio::task::spawn_blocking(told).await.unwrap();
    let from = notes(&station).await[20].0;
    let hour = 3_600_000;
    let set_back = station.copy();
    forge(&set_back, |entry| {
        if entry.index >= from {
            entry.forge(|said, _| said.wall_ms -= hour);
        }
    })
    .await;
    let found = verify(&set_back).await;
    found.expect(
        Code::ClockJumped,
        &format!("leaf {from}: expected wall time"),
    );
    assert_eq!(
        found.all(Code::ClockJumped).len(),
        1,
        "{:#?}",
        found.all(Code::ClockJumped)
    );
    found.expect(Code::ClockJumped, "set back by");

    // Over a restart of the machine.
    let restarted = station.copy();
    forge(&restarted, |entry| {
        if entry.index >= from {
            entry.forge(|said, _| {
                said.wall_ms -= hour;
                said.boot_id[0] ^= 1;
            });
        }
    })
    .await;
    let found = verify(&restarted).await;
    found.expect(
        Code::ClockWentBack,
        &format!("leaf {from}: after a restart"),
    );

    // The clock that nobody sets.
    let reordered = station.copy();
    forge(&reordered, |entry| {
        if entry.index >= from {
            entry.forge(|said, _| said.monotonic_ms /= 2);
        }
    })
    .await;
    let found = verify(&reordered).await;
    found.expect(Code::MonotonicWentBack, &format!("leaf {from}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_its_own_rules_refuse_is_found_where_it_breaks_them() {
    let station = tokio::task::spawn_blocking(told).await.unwrap();
    // The quarantine of a unit becomes something of no consequence: its second run can't have been refused then.
    let failed = station.copy();
    forge(&failed, |entry| {
        if entry.body.contains("\"result\":\"failed\"") && entry.body.contains("generator") {
            entry.forge(|_, body| {
                let at = body.find("\"failure\":").unwrap();
                let end = body.find(",\"elapsed_ms\"").unwrap();
                body.replace_range(at..end, "\"failure\":null");
                *body = body.replace("\"failed\"", "\"passed\"");
            });
        }
    })
    .await;
    let found = verify(&failed).await;
    assert!(found.report.violations > 0);
    found.expect(Code::RowChanged, "run ");

    let unknown = station.copy();
    forge(&unknown, |entry| {
        if entry.body.contains("product-retired") {
            entry.forge(|_, body| *body = body.replace("product-retired", "product-improved"));
        }
    })
    .await;
    let found = verify(&unknown).await;
    found.expect(Code::EnvelopeDiffers, "expected the kind product-improved");
    found.expect(Code::BodyUnreadable, "unknown variant");
    found.expect(Code::RowChanged, "column retired");
}
