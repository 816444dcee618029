-- Who may say yes, as signed data, and which stations there are. Insert-only, as everything here.

-- The root policy that this registry obeys: the latest row. The text is whole; a demonstration's is marked.
CREATE TABLE authority_root (
    sequence      BIGINT PRIMARY KEY CHECK (sequence > 0),
    digest        BYTEA NOT NULL UNIQUE,
    policy        TEXT NOT NULL,
    demonstration BIGINT NOT NULL CHECK (demonstration IN (0, 1)),
    note          TEXT,
    entered_at_ms BIGINT NOT NULL,
    -- Each root but the first is signed by the one before it.
    CONSTRAINT authority_root_signed CHECK (sequence = 1 OR note IS NOT NULL)
);

-- Rosters, products and enrolments, whole, with the signatures of the root's keys. Stations keep copies, and check them by themselves.
CREATE TABLE authority_bundle (
    kind          TEXT NOT NULL CHECK (kind IN ('roster', 'product', 'station')),
    subject       TEXT NOT NULL,
    version       BIGINT NOT NULL CHECK (version > 0),
    digest        BYTEA NOT NULL UNIQUE,
    note          TEXT NOT NULL,
    entered_at_ms BIGINT NOT NULL,
    PRIMARY KEY (kind, subject, version)
);

-- The stations that may enter pins. `login` is the database's own role for it, and `certificate` the fingerprint of its certificate.
CREATE TABLE station (
    id             BYTEA PRIMARY KEY,
    name           TEXT NOT NULL UNIQUE,
    login          TEXT NOT NULL UNIQUE,
    certificate    BYTEA,
    enrolled_by    TEXT NOT NULL,
    enrolled_at_ms BIGINT NOT NULL
);
CREATE TABLE station_retirement (
    station       BYTEA PRIMARY KEY REFERENCES station (id),
    successor     BYTEA UNIQUE REFERENCES station (id),
    retired_by    TEXT NOT NULL,
    reason        TEXT NOT NULL,
    retired_at_ms BIGINT NOT NULL,
    CONSTRAINT station_retirement_successor CHECK (successor <> station)
);

UPDATE meta SET schema = 3;
