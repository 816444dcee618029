-- What witnesses said of this log's checkpoints: one C2SP signature line each. Insert-only; they vouch for `checkpoint`, and nothing in
-- the log depends on them.
CREATE TABLE cosignature (
    tree_size INTEGER NOT NULL REFERENCES checkpoint (tree_size),
    witness   TEXT NOT NULL,
    line      TEXT NOT NULL,
    time_s    INTEGER NOT NULL,
    PRIMARY KEY (tree_size, witness)
) STRICT, WITHOUT ROWID;
