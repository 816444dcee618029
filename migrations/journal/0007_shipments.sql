-- What left the building, and which runs no longer count because the pin that they made was revoked.

-- Which leaf says that a unit was shipped for an order: once. The id is the unit's device id followed by the order's.
CREATE TABLE shipment (
    id         BLOB PRIMARY KEY,
    leaf_index INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

ALTER TABLE run ADD COLUMN revoked INTEGER NOT NULL DEFAULT 0 CHECK (revoked IN (0, 1));
