-- Who may say which cloud key a product has, on PostgreSQL: whoever publishes its signed bundle. A station says which of the published
-- bundles the ids in its own proofs are of, and nothing else.
GRANT SELECT ON cloud_key, product_build TO keyline_station, keyline_key_administrator, keyline_auditor;
-- Which device carries which key is past all row policies, as every view of its owner's.
GRANT SELECT ON carried_cloud_key TO keyline_key_administrator, keyline_auditor;
GRANT INSERT ON cloud_key TO keyline_key_administrator;
GRANT INSERT ON product_build TO keyline_station;

ALTER TABLE cloud_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE product_build ENABLE ROW LEVEL SECURITY;

CREATE POLICY all_rows ON cloud_key FOR SELECT TO keyline_station, keyline_key_administrator, keyline_auditor USING (true);
-- What the bundle says is checked by whoever publishes it; that there is one, here.
CREATE POLICY of_a_bundle ON cloud_key FOR INSERT TO keyline_key_administrator WITH CHECK (
    station IS NULL AND EXISTS (
        SELECT 1 FROM authority_bundle
        WHERE authority_bundle.kind = 'product' AND authority_bundle.subject = cloud_key.product
            AND authority_bundle.digest = cloud_key.bundle
    )
);
-- A unit that another station built is known by that one's id.
CREATE POLICY all_rows ON product_build FOR SELECT TO keyline_station, keyline_key_administrator, keyline_auditor USING (true);
CREATE POLICY own_builds ON product_build FOR INSERT TO keyline_station WITH CHECK (
    station = (SELECT current_station()) AND EXISTS (
        SELECT 1 FROM authority_bundle
        WHERE authority_bundle.kind = 'product' AND authority_bundle.subject = product_build.product
            AND authority_bundle.digest = product_build.bundle
    )
);
