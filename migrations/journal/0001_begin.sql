-- The journal of one station. `entry` is the truth: one row a change, each with its audit leaf. All other tables are what the changes
-- amount to, written in the same transaction, so that no question needs a scan.
-- Ids are blobs: device id 12 bytes, other ids 16, hashes 32. Times are milliseconds since 1970.

-- The oldest software that may write here. A newer schema alone never stops an older station.
CREATE TABLE meta (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    min_client INTEGER NOT NULL
) STRICT;
INSERT INTO meta (id, min_client) VALUES (1, 1);

-- Changes in the order of the log. `leaf` is what the Merkle tree hashes; `salt` and `body` open its commitment.
CREATE TABLE entry (
    leaf_index INTEGER PRIMARY KEY,
    run_id     BLOB,
    leaf       BLOB NOT NULL,
    salt       BLOB NOT NULL,
    body       TEXT NOT NULL
) STRICT;
CREATE INDEX entry_by_run ON entry (run_id) WHERE run_id IS NOT NULL;

-- The latest signed tree head, with the right edge of the tree, so that opening costs the same at any size.
CREATE TABLE tree_head (
    id        INTEGER PRIMARY KEY CHECK (id = 1),
    tree_size INTEGER NOT NULL,
    frontier  BLOB NOT NULL,
    note      TEXT NOT NULL
) STRICT;

-- Every checkpoint that was ever signed: proofs name them by digest.
CREATE TABLE checkpoint (
    tree_size INTEGER PRIMARY KEY,
    note      TEXT NOT NULL
) STRICT;

CREATE TABLE product (
    id      BLOB PRIMARY KEY,
    name    TEXT NOT NULL,
    retired INTEGER NOT NULL CHECK (retired IN (0, 1)),
    record  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX product_live_name ON product (name) WHERE retired = 0;

-- The counts are of distinct device ids, by their last run in the order.
CREATE TABLE work_order (
    id                  BLOB PRIMARY KEY,
    name                TEXT NOT NULL UNIQUE,
    product_id          BLOB NOT NULL REFERENCES product (id),
    record              TEXT NOT NULL,
    passed              INTEGER NOT NULL DEFAULT 0,
    weak                INTEGER NOT NULL DEFAULT 0,
    held                INTEGER NOT NULL DEFAULT 0,
    failed              INTEGER NOT NULL DEFAULT 0,
    failed_unidentified INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- `device_id`, `reached` and what follows are written when the run ends; until then they are read from its entries.
CREATE TABLE run (
    id            BLOB PRIMARY KEY,
    order_id      BLOB NOT NULL REFERENCES work_order (id),
    slot          INTEGER NOT NULL,
    serial        TEXT,
    operator      TEXT NOT NULL,
    started_at_ms INTEGER NOT NULL,
    device_id     BLOB,
    reached       TEXT,
    result        TEXT,
    failure       TEXT,
    ended_at_ms   INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX run_open ON run (started_at_ms) WHERE result IS NULL;
CREATE INDEX run_by_device ON run (device_id) WHERE device_id IS NOT NULL;

-- `counted` is the result under which the unit is counted in `order_id`.
CREATE TABLE unit (
    device_id            BLOB PRIMARY KEY,
    serial               TEXT,
    product_id           BLOB,
    order_id             BLOB,
    state                TEXT NOT NULL,
    counted              TEXT,
    consecutive_failures INTEGER NOT NULL,
    last_run             BLOB,
    lock_intended        BLOB,
    changed_at_ms        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX unit_by_order ON unit (order_id) WHERE order_id IS NOT NULL;
CREATE INDEX unit_unfinished ON unit (state) WHERE state NOT IN ('passed', 'weak');
-- A serial is unique a product while the unit lives.
CREATE UNIQUE INDEX unit_live_serial ON unit (serial, product_id) WHERE serial IS NOT NULL AND state <> 'scrapped';

-- Alarms, quarantines, releases and scrappings; the change itself is the entry's body.
CREATE TABLE unit_event (
    leaf_index INTEGER PRIMARY KEY REFERENCES entry (leaf_index),
    kind       TEXT NOT NULL,
    device_id  BLOB NOT NULL,
    run_id     BLOB
) STRICT;
CREATE INDEX unit_event_by_device ON unit_event (device_id);
CREATE INDEX unit_event_alarm ON unit_event (leaf_index) WHERE kind IN ('clone-alarm', 'unit-quarantined');

-- Names are for signing in only: they stay out of `entry`. Of a token only its SHA-256 is kept; it is 32 random bytes.
CREATE TABLE operator (
    id           TEXT PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    role         TEXT NOT NULL,
    token_sha256 BLOB NOT NULL UNIQUE,
    added_at_ms  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What became of a request with an idempotency key; `result` is missing until it is finished.
CREATE TABLE idempotency (
    key            TEXT PRIMARY KEY,
    request_digest BLOB NOT NULL,
    result         TEXT,
    at_ms          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
