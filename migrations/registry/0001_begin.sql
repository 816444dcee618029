-- The registry: which public key belongs to which device, for ever. The same statements run on SQLite and PostgreSQL, and hold nothing
-- that CockroachDB or YugabyteDB refuses. Device ids are 12 bytes, other ids 16, hashes 32; times are milliseconds since 1970.
--
-- Every table but `meta` is insert-only: what became of a key follows from the rows that are there, and the keys of these tables allow
-- one active pin a device at any moment. So a station needs no right to change a row, and nobody can without leaving a hole.

-- `schema` is the number of the last migration, `min_client` the oldest software that may write here. A newer schema alone never stops
-- an older station.
CREATE TABLE meta (
    id         BIGINT PRIMARY KEY CHECK (id = 1),
    schema     BIGINT NOT NULL,
    min_client BIGINT NOT NULL
);
INSERT INTO meta (id, schema, min_client) VALUES (1, 1, 1);

-- What two people asked for, and agreed to. The notes are whole, with their signatures; nobody agrees with himself.
CREATE TABLE act_request (
    id              BYTEA PRIMARY KEY CHECK (length(id) = 32),
    act             TEXT NOT NULL,
    device_id       BYTEA NOT NULL,
    old_fingerprint BYTEA NOT NULL,
    new_fingerprint BYTEA,
    requester       TEXT NOT NULL,
    note            TEXT NOT NULL,
    requested_at_ms BIGINT NOT NULL,
    CONSTRAINT act_request_requester UNIQUE (id, requester),
    CONSTRAINT act_request_device UNIQUE (id, device_id),
    CONSTRAINT act_request_key UNIQUE (id, device_id, new_fingerprint)
);
CREATE TABLE act_approval (
    request        BYTEA PRIMARY KEY,
    requester      TEXT NOT NULL,
    approver       TEXT NOT NULL,
    note           TEXT NOT NULL,
    approved_at_ms BIGINT NOT NULL,
    CONSTRAINT act_approval_of FOREIGN KEY (request, requester) REFERENCES act_request (id, requester),
    CONSTRAINT act_approval_two_people CHECK (approver <> requester)
);

-- The pins that are trusted no more: by an act of two people, or because the unit was scrapped, which one supervisor decides. Claims
-- refer to it and pins to claims, so that it can't refer to pins here; PostgreSQL adds that.
CREATE TABLE pin_revocation (
    device_id     BYTEA NOT NULL,
    generation    BIGINT NOT NULL,
    act           BYTEA UNIQUE REFERENCES act_approval (request),
    station       BYTEA,
    operator      TEXT NOT NULL,
    reason        TEXT NOT NULL,
    revoked_at_ms BIGINT NOT NULL CHECK (revoked_at_ms >= 0),
    PRIMARY KEY (device_id, generation),
    -- The act is about this device.
    CONSTRAINT pin_revocation_act FOREIGN KEY (act, device_id) REFERENCES act_request (id, device_id),
    CONSTRAINT pin_revocation_by CHECK ((act IS NULL) <> (station IS NULL))
);

-- Every key that was ever claimed, with what showed its possession. Never pruned, never partitioned by time: a key in here belongs to
-- its device for ever, whatever became of it.
--
-- A device's first pin is its generation 1; each revocation opens the next one, and without it there is none (`revoked_generation`).
-- Within a generation each claim takes the place of the one before it (`turn`), until one of them is pinned.
--
-- A claim from a bench names its product by id; an imported one by name, with the import's id as its run.
CREATE TABLE key_claim (
    fingerprint        BYTEA PRIMARY KEY CHECK (length(fingerprint) = 32),
    device_id          BYTEA NOT NULL CHECK (length(device_id) = 12),
    -- Bounded, so that nobody uses all numbers up.
    generation         BIGINT NOT NULL CHECK (generation BETWEEN 1 AND 1000000),
    turn               BIGINT NOT NULL CHECK (turn BETWEEN 1 AND 1000000),
    revoked_generation BIGINT,
    basis              TEXT NOT NULL CHECK (basis IN ('bench', 'import', 'rotation')),
    algorithm          TEXT NOT NULL,
    made               TEXT,
    public_key         BYTEA NOT NULL,
    challenge          BYTEA CHECK (length(challenge) = 32),
    signature          BYTEA,
    station            BYTEA CHECK (length(station) = 16),
    customer           TEXT,
    product            BYTEA CHECK (length(product) = 16),
    product_name       TEXT,
    work_order         BYTEA CHECK (length(work_order) = 16),
    run                BYTEA CHECK (length(run) = 16),
    rework             BIGINT NOT NULL,
    claimed_at_ms      BIGINT NOT NULL CHECK (claimed_at_ms >= 0),
    act                BYTEA REFERENCES act_approval (request),
    CONSTRAINT key_claim_turn UNIQUE (device_id, generation, turn),
    CONSTRAINT key_claim_opened FOREIGN KEY (device_id, revoked_generation) REFERENCES pin_revocation (device_id, generation),
    CONSTRAINT key_claim_generation CHECK (
        -- Whether it is there is asked too: what is neither true nor false is no refusal.
        (generation = 1 AND revoked_generation IS NULL)
        OR (generation > 1 AND revoked_generation IS NOT NULL AND revoked_generation = generation - 1)
    ),
    -- A key that takes another one's place stands on an act of two people about this device and this key; an import only begins.
    CONSTRAINT key_claim_act FOREIGN KEY (act, device_id, fingerprint) REFERENCES act_request (id, device_id, new_fingerprint),
    CONSTRAINT key_claim_rotation CHECK ((basis = 'rotation') = (act IS NOT NULL)),
    CONSTRAINT key_claim_import CHECK (basis <> 'import' OR generation = 1),
    -- Whoever claims on a bench shows who he is, for what, and that he has the key.
    CONSTRAINT key_claim_bench CHECK (
        basis <> 'bench' OR (made IS NOT NULL AND challenge IS NOT NULL AND signature IS NOT NULL AND station IS NOT NULL
            AND customer IS NOT NULL AND product IS NOT NULL AND work_order IS NOT NULL AND run IS NOT NULL)
    )
);

-- The proofs that were accepted, whole, so that anybody can verify them again. A nonce proves once. `cloud_key` is the fingerprint of
-- the cloud key that the unit carried.
CREATE TABLE proof (
    nonce          BYTEA PRIMARY KEY CHECK (length(nonce) = 32),
    device_id      BYTEA NOT NULL,
    fingerprint    BYTEA NOT NULL REFERENCES key_claim (fingerprint),
    station        BYTEA NOT NULL,
    cloud_key      BYTEA NOT NULL,
    record         TEXT NOT NULL,
    accepted_at_ms BIGINT NOT NULL CHECK (accepted_at_ms >= 0)
);

-- The claims that are trusted, or were: one a generation. A pin from a bench stands on a proof.
CREATE TABLE pin (
    device_id    BYTEA NOT NULL,
    generation   BIGINT NOT NULL,
    turn         BIGINT NOT NULL,
    nonce        BYTEA REFERENCES proof (nonce),
    weak         BIGINT NOT NULL,
    station      BYTEA,
    pinned_at_ms BIGINT NOT NULL CHECK (pinned_at_ms >= 0),
    PRIMARY KEY (device_id, generation),
    CONSTRAINT pin_of_claim FOREIGN KEY (device_id, generation, turn) REFERENCES key_claim (device_id, generation, turn),
    CONSTRAINT pin_proven CHECK ((nonce IS NULL) = (station IS NULL))
);

-- Conflicts that may mean a cloned unit or key, once for each side: `side` says whose row it is, that of the station which was refused
-- or that of the station which had entered the key before. `evidence` is the refused claim, whole.
CREATE TABLE alarm (
    id                BYTEA PRIMARY KEY CHECK (length(id) = 16),
    side              TEXT NOT NULL CHECK (side IN ('refused', 'holder')),
    kind              TEXT NOT NULL CHECK (kind IN ('key-belongs-to-another', 'device-has-another-key')),
    device_id         BYTEA NOT NULL CHECK (length(device_id) = 12),
    fingerprint       BYTEA NOT NULL CHECK (length(fingerprint) = 32),
    other_device_id   BYTEA NOT NULL,
    other_fingerprint BYTEA NOT NULL,
    station           BYTEA NOT NULL,
    other_station     BYTEA,
    run               BYTEA NOT NULL CHECK (length(run) = 16),
    evidence          TEXT NOT NULL,
    at_ms             BIGINT NOT NULL CHECK (at_ms >= 0)
);

-- Every key with what became of it.
CREATE VIEW key_state AS
SELECT key_claim.*, pin.nonce, COALESCE(pin.weak, 0) AS weak, pin.pinned_at_ms, pin.station AS pinned_by,
    pin_revocation.operator AS revoked_by, pin_revocation.reason AS revoked_for, pin_revocation.revoked_at_ms,
    pin_revocation.act AS revoked_in,
    CASE
        WHEN pin.turn = key_claim.turn AND pin_revocation.generation IS NOT NULL THEN 'revoked'
        WHEN pin.turn = key_claim.turn THEN 'active'
        WHEN holder.turn IS NOT NULL THEN 'superseded'
        WHEN EXISTS (
            SELECT 1 FROM key_claim AS later
            WHERE later.device_id = key_claim.device_id AND later.generation = key_claim.generation AND later.turn > key_claim.turn
        ) THEN 'superseded'
        ELSE 'pending'
    END AS state
FROM key_claim
LEFT JOIN pin AS holder ON holder.device_id = key_claim.device_id AND holder.generation = key_claim.generation
LEFT JOIN pin ON pin.device_id = key_claim.device_id AND pin.generation = key_claim.generation AND pin.turn = key_claim.turn
LEFT JOIN pin_revocation ON pin_revocation.device_id = pin.device_id AND pin_revocation.generation = pin.generation;

-- The first proof of each key: a unit that comes back often leaves many.
CREATE VIEW first_proof AS
SELECT * FROM proof WHERE NOT EXISTS (
    SELECT 1 FROM proof AS earlier
    WHERE earlier.fingerprint = proof.fingerprint
        AND (earlier.accepted_at_ms < proof.accepted_at_ms
            OR (earlier.accepted_at_ms = proof.accepted_at_ms AND earlier.nonce < proof.nonce))
);
