-- The registry as a witness of the stations' audit logs, and what an auditor asks of it. Same dialect as 0001.

-- Whose a log is, for ever: a second station that signs under the same origin is refused.
CREATE TABLE log (
    origin         TEXT PRIMARY KEY,
    station        BYTEA NOT NULL,
    first_shown_ms BIGINT NOT NULL
);

-- The checkpoints that stations have shown. Insert-only. Each stands on the one before it: two that stand on the same one would be a
-- fork, so that even two writers at the same moment can't enter both.
CREATE TABLE log_checkpoint (
    origin        TEXT NOT NULL REFERENCES log (origin),
    tree_size     BIGINT NOT NULL,
    previous_size BIGINT NOT NULL,
    root          BYTEA NOT NULL,
    note          TEXT NOT NULL,
    at_ms         BIGINT NOT NULL,
    PRIMARY KEY (origin, tree_size),
    CHECK (tree_size > previous_size)
);
CREATE UNIQUE INDEX log_checkpoint_previous ON log_checkpoint (origin, previous_size);

-- Refused checkpoints. A table of their own: they name no unit, which `alarm` requires. The refused note is kept whole, because it is
-- the proof: it carries the signature of the log's own key.
CREATE TABLE log_alarm (
    id         BYTEA PRIMARY KEY,
    kind       TEXT NOT NULL CHECK (kind IN ('log-rolled-back', 'log-forked', 'origin-of-another')),
    origin     TEXT NOT NULL,
    station    BYTEA NOT NULL,
    known_size BIGINT NOT NULL,
    shown_size BIGINT NOT NULL,
    note       TEXT NOT NULL,
    at_ms      BIGINT NOT NULL
);
CREATE INDEX log_alarm_by_origin ON log_alarm (origin, id);

-- An auditor walks through everything that one station has done.
CREATE INDEX key_claim_by_station ON key_claim (station, fingerprint);
CREATE INDEX proof_by_fingerprint ON proof (fingerprint);
CREATE INDEX alarm_by_station ON alarm (station, id);

UPDATE meta SET schema = 2;
