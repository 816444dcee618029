-- The registry: which public key belongs to which device, for ever. The same statements run on SQLite and PostgreSQL, and hold nothing
-- that CockroachDB or YugabyteDB refuses. Device ids are 12 bytes, other ids 16, hashes 32; times are milliseconds since 1970.

-- The oldest software that may write here. A newer schema alone never stops an older station.
CREATE TABLE meta (
    id         BIGINT PRIMARY KEY CHECK (id = 1),
    min_client BIGINT NOT NULL
);
INSERT INTO meta (id, min_client) VALUES (1, 1);

-- Every key that was ever claimed, with what showed its possession. Insert-only, never pruned: a key in here belongs to its device for
-- ever, whatever became of it.
CREATE TABLE key_claim (
    fingerprint   BYTEA PRIMARY KEY,
    device_id     BYTEA NOT NULL,
    algorithm     TEXT NOT NULL,
    made          TEXT NOT NULL,
    public_key    BYTEA NOT NULL,
    challenge     BYTEA NOT NULL,
    signature     BYTEA NOT NULL,
    station       BYTEA NOT NULL,
    customer      TEXT NOT NULL,
    product       BYTEA NOT NULL,
    work_order    BYTEA NOT NULL,
    run           BYTEA NOT NULL,
    rework        BIGINT NOT NULL,
    claimed_at_ms BIGINT NOT NULL
);

-- What became of each claim. `pending` is not trusted; `active` is.
CREATE TABLE pin (
    device_id    BYTEA NOT NULL,
    fingerprint  BYTEA NOT NULL REFERENCES key_claim (fingerprint),
    state        TEXT NOT NULL CHECK (state IN ('pending', 'active', 'superseded', 'revoked')),
    weak         BIGINT NOT NULL DEFAULT 0,
    pinned_at_ms BIGINT,
    PRIMARY KEY (device_id, fingerprint)
);
CREATE UNIQUE INDEX pin_one_pending ON pin (device_id) WHERE state = 'pending';
CREATE UNIQUE INDEX pin_one_active ON pin (device_id) WHERE state = 'active';

-- The proofs that were accepted, whole, so that anybody can verify them again. A nonce proves once.
CREATE TABLE proof (
    nonce          BYTEA PRIMARY KEY,
    device_id      BYTEA NOT NULL,
    fingerprint    BYTEA NOT NULL REFERENCES key_claim (fingerprint),
    record         TEXT NOT NULL,
    accepted_at_ms BIGINT NOT NULL
);

-- What happened to a device's keys, in order. Insert-only.
CREATE TABLE pin_history (
    device_id   BYTEA NOT NULL,
    sequence    BIGINT NOT NULL,
    event       TEXT NOT NULL CHECK (event IN ('claimed', 'superseded', 'pinned', 'revoked')),
    fingerprint BYTEA NOT NULL,
    station     BYTEA,
    operator    TEXT,
    reason      TEXT,
    at_ms       BIGINT NOT NULL,
    PRIMARY KEY (device_id, sequence)
);

-- Conflicts that may mean a cloned unit or key.
CREATE TABLE alarm (
    id                BYTEA PRIMARY KEY,
    kind              TEXT NOT NULL,
    device_id         BYTEA NOT NULL,
    fingerprint       BYTEA NOT NULL,
    other_device_id   BYTEA,
    other_fingerprint BYTEA,
    station           BYTEA NOT NULL,
    run               BYTEA NOT NULL,
    at_ms             BIGINT NOT NULL
);
