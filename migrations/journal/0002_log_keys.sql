-- The keys that sign the log's checkpoints, as the log's own leaves say: written in the transaction of the leaf that adds or retires one.
-- `key` is the verifier key NAME+KEYID+KEY. `added_at` is the index of its leaf; it is missing for the first key, which signed the empty
-- log. A key without `retired_at` is in force: every checkpoint carries its signature. A retired key never returns.
CREATE TABLE log_key (
    key        TEXT PRIMARY KEY,
    added_at   INTEGER,
    retired_at INTEGER
) STRICT, WITHOUT ROWID;
