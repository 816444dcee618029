-- Which device a product's serial names, and named before: boards are swapped, labels stay. Insert-only, as everything here.
--
-- A product is named, not numbered: each station gives a product an id of its own, its name is that of its signed bundle. The first use
-- of a serial is its turn 1. A use lives as long as the pin under which it was entered; the revocation of that pin ends it and opens the
-- next turn, and without it there is none (`previous_…`). So at any moment at most one living device has a serial, whoever writes.
--
-- A use from a bench stands on a proof of its device; an imported one, and one that goes over to a device's next key, on people.
CREATE TABLE serial_use (
    product             TEXT NOT NULL,
    serial              TEXT NOT NULL CHECK (length(serial) BETWEEN 1 AND 32),
    turn                BIGINT NOT NULL CHECK (turn BETWEEN 1 AND 1000000),
    device_id           BYTEA NOT NULL,
    generation          BIGINT NOT NULL,
    previous_turn       BIGINT,
    previous_device_id  BYTEA,
    previous_generation BIGINT,
    nonce               BYTEA REFERENCES proof (nonce),
    station             BYTEA,
    used_at_ms          BIGINT NOT NULL CHECK (used_at_ms >= 0),
    PRIMARY KEY (product, serial, turn),
    -- What the next use refers to.
    CONSTRAINT serial_use_whole UNIQUE (product, serial, turn, device_id, generation),
    -- A living device has one serial of a product.
    CONSTRAINT serial_use_of_pin UNIQUE (product, device_id, generation),
    CONSTRAINT serial_use_pin FOREIGN KEY (device_id, generation) REFERENCES pin (device_id, generation),
    CONSTRAINT serial_use_previous FOREIGN KEY (product, serial, previous_turn, previous_device_id, previous_generation)
        REFERENCES serial_use (product, serial, turn, device_id, generation),
    CONSTRAINT serial_use_released FOREIGN KEY (previous_device_id, previous_generation)
        REFERENCES pin_revocation (device_id, generation),
    -- A comparison with NULL is no refusal: each column is asked for by itself.
    CONSTRAINT serial_use_turn CHECK (
        (turn = 1 AND previous_turn IS NULL AND previous_device_id IS NULL AND previous_generation IS NULL)
        OR (turn > 1 AND previous_turn IS NOT NULL AND previous_turn = turn - 1 AND previous_device_id IS NOT NULL
            AND previous_generation IS NOT NULL)
    ),
    CONSTRAINT serial_use_proven CHECK ((nonce IS NULL) = (station IS NULL))
);
CREATE INDEX serial_use_by_serial ON serial_use (serial, product, turn);
CREATE INDEX serial_use_by_device ON serial_use (device_id, generation);
-- An auditor walks through everything that one station has done.
CREATE INDEX serial_use_by_station ON serial_use (station, product, serial, turn);

-- Every use with its end. What others may learn of it: neither the proof, nor who ended it and why.
CREATE VIEW serial_state AS
SELECT serial_use.product, serial_use.serial, serial_use.turn, serial_use.device_id, serial_use.generation, serial_use.station,
    serial_use.used_at_ms, pin_revocation.revoked_at_ms AS released_at_ms
FROM serial_use
LEFT JOIN pin_revocation ON pin_revocation.device_id = serial_use.device_id AND pin_revocation.generation = serial_use.generation;

UPDATE meta SET schema = 4;
