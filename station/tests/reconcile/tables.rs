//! A row changed, removed or put in, in every table of the journal.

use keyline_station::reconcile::Code;

use crate::story::told;
use crate::verify::{Found, verify};

/// What is done, the code that finds it, and words that name the place and what was found.
const TAMPERINGS: &[(&str, Code, &str)] = &[
    (
        "UPDATE product SET name = 'x' WHERE retired = 0",
        Code::RowChanged,
        "column name: expected thermostat by the log, found x",
    ),
    (
        "UPDATE product SET record = replace(record, 'cloud.example', 'evil.example')",
        Code::RowChanged,
        "evil.example",
    ),
    (
        "UPDATE product SET retired = 0",
        Code::RowChanged,
        "column retired",
    ),
    (
        "DELETE FROM product WHERE retired = 1",
        Code::RowMissing,
        "product ",
    ),
    (
        "INSERT INTO product SELECT randomblob(16), 'y', 0, record FROM product LIMIT 1",
        Code::RowAdded,
        "product ",
    ),
    (
        "UPDATE work_order SET passed = passed + 1",
        Code::RowChanged,
        "column passed",
    ),
    (
        "UPDATE work_order SET record = replace(record, 'closed', 'open')",
        Code::RowChanged,
        "column record",
    ),
    ("DELETE FROM work_order", Code::RowMissing, "work_order "),
    (
        "INSERT INTO work_order SELECT randomblob(16), 'z', product_id, record, 0, 0, 0, 0, 0 FROM work_order LIMIT 1",
        Code::RowAdded,
        "work_order ",
    ),
    (
        "UPDATE run SET result = 'passed', failure = NULL WHERE result = 'failed'",
        Code::RowChanged,
        "expected failed by the log, found passed",
    ),
    (
        "UPDATE run SET started_at_ms = started_at_ms - 86400000",
        Code::RowChanged,
        "column started_at_ms",
    ),
    (
        "UPDATE run SET operator = 'somebody'",
        Code::RowChanged,
        "column operator",
    ),
    (
        "DELETE FROM run WHERE result IS NULL",
        Code::RowMissing,
        "run ",
    ),
    (
        "INSERT INTO run SELECT randomblob(16), order_id, slot, serial, operator, started_at_ms, device_id, reached, result, failure, ended_at_ms, revoked FROM run LIMIT 1",
        Code::RowAdded,
        "run ",
    ),
    (
        "UPDATE unit SET state = 'passed' WHERE state = 'quarantined'",
        Code::RowChanged,
        "expected quarantined by the log, found passed",
    ),
    (
        "UPDATE unit SET serial = 'swapped' WHERE serial = 'serial-3'",
        Code::RowChanged,
        "expected serial-3 by the log, found swapped",
    ),
    (
        "UPDATE unit SET consecutive_failures = 0",
        Code::RowChanged,
        "column consecutive_failures",
    ),
    (
        "DELETE FROM unit WHERE state = 'scrapped'",
        Code::RowMissing,
        "unit ",
    ),
    (
        "INSERT INTO unit SELECT randomblob(12), NULL, product_id, order_id, 'passed', counted, 0, last_run, NULL, 1 FROM unit LIMIT 1",
        Code::RowAdded,
        "unit ",
    ),
    (
        "UPDATE unit_event SET kind = 'unit-released' WHERE kind = 'clone-alarm'",
        Code::RowChanged,
        "expected clone-alarm by the log",
    ),
    (
        "DELETE FROM unit_event WHERE kind = 'clone-alarm'",
        Code::RowMissing,
        "unit_event ",
    ),
    (
        "INSERT INTO unit_event SELECT 0, kind, device_id, run_id FROM unit_event LIMIT 1",
        Code::RowAdded,
        "unit_event 0",
    ),
    (
        "UPDATE operator SET role = 'administrator' WHERE id = 'op-2'",
        Code::RowChanged,
        "operator op-2, column role: expected technician",
    ),
    (
        "DELETE FROM operator WHERE id = 'op-2'",
        Code::RowMissing,
        "operator op-2",
    ),
    (
        "INSERT INTO operator VALUES ('op-3', 'mallory', 'administrator', zeroblob(32), 1)",
        Code::RowAdded,
        "operator op-3",
    ),
    (
        "UPDATE entry SET body = replace(body, 'it fell', 'it flew')",
        Code::BodyChanged,
        "leaf ",
    ),
    (
        "UPDATE entry SET salt = zeroblob(32) WHERE leaf_index = 3",
        Code::BodyChanged,
        "leaf 3",
    ),
    (
        "UPDATE entry SET salt = x'00' WHERE leaf_index = 3",
        Code::BodyChanged,
        "a salt of another length",
    ),
    (
        "UPDATE entry SET leaf = zeroblob(99) WHERE leaf_index = 9",
        Code::LeafUnreadable,
        "leaf 9",
    ),
    (
        "UPDATE entry SET run_id = randomblob(16) WHERE leaf_index = 30",
        Code::RowChanged,
        "leaf 30: expected the run",
    ),
    (
        "DELETE FROM entry WHERE leaf_index BETWEEN 7 AND 9",
        Code::EntryMissing,
        "leaves 7 to 9",
    ),
    (
        "DELETE FROM entry WHERE leaf_index = (SELECT max(leaf_index) FROM entry)",
        Code::TreeHeadDiffers,
        "the tree head: expected",
    ),
    (
        "DELETE FROM entry WHERE leaf_index = (SELECT max(leaf_index) FROM entry)",
        Code::CheckpointBeyondLog,
        "checkpoint of",
    ),
    (
        "DELETE FROM entry",
        Code::CheckpointBeyondLog,
        "the journal has 0 entries",
    ),
    (
        "INSERT INTO entry SELECT -1, run_id, leaf, salt, body FROM entry WHERE leaf_index = 0",
        Code::EntryMisplaced,
        "leaf -1",
    ),
    (
        "INSERT INTO entry SELECT max(leaf_index) + 1, run_id, leaf, salt, body FROM entry",
        Code::CheckpointMissing,
        "expected a stored checkpoint",
    ),
    (
        "UPDATE entry SET leaf_index = 100000 WHERE leaf_index = 5; UPDATE entry SET leaf_index = 5 WHERE leaf_index = 6; UPDATE entry SET leaf_index = 6 WHERE leaf_index = 100000",
        Code::RootDiffers,
        "leaf 5 was changed, removed or put in",
    ),
    (
        "UPDATE checkpoint SET note = replace(note, 'line-1', 'line-2') WHERE tree_size = 2",
        Code::CheckpointNotSigned,
        "checkpoint of 2 leaves",
    ),
    (
        "UPDATE checkpoint SET note = 'nothing' WHERE tree_size = 2",
        Code::CheckpointUnreadable,
        "checkpoint of 2 leaves",
    ),
    (
        "INSERT INTO checkpoint SELECT 1, note FROM checkpoint WHERE tree_size = 2",
        Code::CheckpointUnreadable,
        "expected 1 leaves",
    ),
    (
        "DELETE FROM checkpoint WHERE tree_size = (SELECT max(tree_size) FROM checkpoint)",
        Code::TreeHeadDiffers,
        "last stored checkpoint",
    ),
    (
        "UPDATE tree_head SET frontier = zeroblob(length(frontier))",
        Code::TreeHeadDiffers,
        "right edge",
    ),
    (
        "UPDATE tree_head SET tree_size = tree_size + 1",
        Code::TreeHeadDiffers,
        "as there are entries",
    ),
    (
        "UPDATE tree_head SET note = (SELECT note FROM checkpoint WHERE tree_size = 2)",
        Code::TreeHeadDiffers,
        "last stored checkpoint",
    ),
    ("DELETE FROM tree_head", Code::TreeHeadDiffers, "found none"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_tampering_with_a_table_is_found_by_its_code_and_its_place() {
    let station = tokio::task::spawn_blocking(told).await.unwrap();
    for (sql, code, words) in TAMPERINGS {
        let copy = station.copy();
        let before = copy.copy();
        copy.tamper("journal.db", sql).await;
        assert_ne!(
            std::fs::read(copy.path("journal.db")).unwrap(),
            std::fs::read(before.path("journal.db")).unwrap(),
            "nothing was changed: {sql}"
        );
        let found: Found = verify(&copy).await;
        assert!(
            found.all(*code).iter().any(|finding| format!(
                "{}: {}",
                finding.place, finding.message
            )
            .contains(words)),
            "{sql}: expected {} with \"{words}\", found {:#?}",
            code.name(),
            found.violations()
        );
        assert!(found.report.violations > 0, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_checkpoint_is_missed_by_its_batch() {
    let station = tokio::task::spawn_blocking(told).await.unwrap();
    // One whose neighbours have other times: two commits in one millisecond can't be told from one.
    let size = station
        .number(
            "journal.db",
            "SELECT max(tree_size) FROM checkpoint JOIN entry AS before ON before.leaf_index = tree_size - 1 \
             JOIN entry AS after ON after.leaf_index = tree_size \
             WHERE substr(before.leaf, instr(before.leaf, x'000001') - 0, 8) <> substr(after.leaf, instr(after.leaf, x'000001') - 0, 8)",
        )
        .await;
    let sql = format!("DELETE FROM checkpoint WHERE tree_size = {size}");
    station.tamper("journal.db", &sql).await;
    let found = verify(&station).await;
    found.expect(
        Code::CheckpointMissing,
        &format!("checkpoint of {size} leaves"),
    );
}
