-- Signed bundles that this station accepted (rosters, products, station enrolments), each in the transaction of its leaf: insert-only.
-- `digest` is SHA-256 of the text without signatures, `note` the text with them. The highest version of a subject is the one in force.
CREATE TABLE authority_bundle (
    leaf_index INTEGER PRIMARY KEY REFERENCES entry (leaf_index),
    kind       TEXT NOT NULL CHECK (kind IN ('roster', 'product', 'station')),
    subject    TEXT NOT NULL,
    version    INTEGER NOT NULL,
    digest     BLOB NOT NULL,
    note       TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX authority_bundle_version ON authority_bundle (kind, subject, version);
