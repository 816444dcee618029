-- Runs that ended held and that the registry has not acknowledged, in the order in which they are to be entered. Claim and proof stand in
-- the run's entries; what is here says only that they wait. A run leaves by the leaf that says what the registry made of it, when a later
-- run of its unit passes, or when the unit is set apart. `run.result` then says what became of the run.
CREATE TABLE outbox (
    leaf_index INTEGER PRIMARY KEY REFERENCES entry (leaf_index),
    device_id  BLOB NOT NULL,
    run_id     BLOB NOT NULL UNIQUE
) STRICT;
CREATE INDEX outbox_by_device ON outbox (device_id);

-- What was held before there was an outbox.
INSERT INTO outbox (leaf_index, device_id, run_id)
    SELECT ended.leaf_index, run.device_id, run.id
    FROM run JOIN entry AS ended ON ended.run_id = run.id AND ended.body ->> 'kind' = 'run-ended'
    WHERE run.result = 'held' AND run.reached IN ('proven', 'pinned', 'sealed', 'locked')
        AND NOT EXISTS (
            SELECT 1 FROM run AS later JOIN entry ON entry.run_id = later.id AND entry.body ->> 'kind' = 'run-ended'
            WHERE later.device_id = run.device_id AND later.result IN ('passed', 'weak') AND entry.leaf_index > ended.leaf_index)
        AND NOT EXISTS (
            SELECT 1 FROM unit_event
            WHERE unit_event.device_id = run.device_id AND unit_event.leaf_index > ended.leaf_index
                AND unit_event.kind IN ('unit-quarantined', 'unit-scrapped'));
