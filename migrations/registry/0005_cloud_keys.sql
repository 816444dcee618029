-- Which cloud key a device trusts. Insert-only, as everything here. Same dialect as 0001.

-- The cloud keys of each product, numbered as its signed bundles number them. One number means one key, and one key has one number: what a
-- proof shows is the key's fingerprint, and the version follows from it. `station` is the station that entered it, where no person did.
CREATE TABLE cloud_key (
    product       TEXT NOT NULL,
    version       BIGINT NOT NULL CHECK (version BETWEEN 1 AND 4294967295),
    fingerprint   BYTEA NOT NULL CHECK (length(fingerprint) = 32),
    public_key    BYTEA NOT NULL,
    address       TEXT NOT NULL,
    bundle        BYTEA NOT NULL CHECK (length(bundle) = 32),
    station       BYTEA CHECK (length(station) = 16),
    operator      TEXT NOT NULL,
    entered_at_ms BIGINT NOT NULL CHECK (entered_at_ms >= 0),
    PRIMARY KEY (product, version),
    CONSTRAINT cloud_key_once UNIQUE (product, fingerprint)
);

-- Of which product and bundle the ids are that stations put into proofs: a product gets a new id with each bundle, at each station.
CREATE TABLE product_build (
    id            BYTEA PRIMARY KEY CHECK (length(id) = 16),
    product       TEXT NOT NULL,
    bundle        BYTEA NOT NULL CHECK (length(bundle) = 32),
    station       BYTEA NOT NULL CHECK (length(station) = 16),
    operator      TEXT NOT NULL,
    entered_at_ms BIGINT NOT NULL CHECK (entered_at_ms >= 0)
);

-- The cloud key that each trusted device carried when it last proved itself; none where it never did, because it was imported.
CREATE VIEW carried_cloud_key AS
SELECT pin.device_id, COALESCE(product_build.product, key_claim.product_name) AS product, proof.cloud_key, proof.station, proof.record,
    proof.accepted_at_ms
FROM pin
JOIN key_claim ON key_claim.device_id = pin.device_id AND key_claim.generation = pin.generation AND key_claim.turn = pin.turn
LEFT JOIN product_build ON product_build.id = key_claim.product
LEFT JOIN proof ON proof.fingerprint = key_claim.fingerprint AND NOT EXISTS (
    SELECT 1 FROM proof AS later
    WHERE later.fingerprint = proof.fingerprint
        AND (later.accepted_at_ms > proof.accepted_at_ms
            OR (later.accepted_at_ms = proof.accepted_at_ms AND later.nonce > proof.nonce))
)
WHERE NOT EXISTS (
    SELECT 1 FROM pin_revocation
    WHERE pin_revocation.device_id = pin.device_id AND pin_revocation.generation = pin.generation
);

-- An auditor counts what an import has entered.
CREATE INDEX key_claim_by_import ON key_claim (run) WHERE basis = 'import';

UPDATE meta SET schema = 5;
