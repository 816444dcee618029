-- Entries without a run are about the station itself: products, orders, operators, starts, keys. They are few beside the others, and
-- asked for one by one.
CREATE INDEX entry_without_run ON entry (leaf_index) WHERE run_id IS NULL;
