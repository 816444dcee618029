-- Who may do what with serials, on PostgreSQL: as in 0101, a station inserts its own rows and gets those of others by naming a serial or
-- a device.

-- The uses of these serials: a JSON array of [product, serial], at most 1,024.
CREATE FUNCTION serials_by_name(wanted TEXT) RETURNS SETOF serial_state
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
BEGIN
    IF may_look_up() AND jsonb_array_length(wanted::jsonb) <= 1024 THEN
        RETURN QUERY SELECT found.*
        FROM jsonb_array_elements(wanted::jsonb) AS name
        CROSS JOIN LATERAL (
            SELECT * FROM serial_state WHERE product = name.value ->> 0 AND serial = name.value ->> 1 OFFSET 0
        ) AS found;
    END IF;
END
$$;

-- The uses of one serial, whatever the product is: somebody has a label in his hand and nothing else.
CREATE FUNCTION serials_by_label(wanted TEXT, most BIGINT) RETURNS SETOF serial_state
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT * FROM serial_state WHERE serial = wanted AND may_look_up() ORDER BY product, turn LIMIT most
$$;

-- The serials that these devices have and had, 12 bytes each, one after the other.
CREATE FUNCTION serials_by_device(wanted BYTEA) RETURNS SETOF serial_state
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
BEGIN
    IF may_look_up() AND length(wanted) <= 12 * 1024 THEN
        RETURN QUERY SELECT found.*
        FROM generate_series(0, length(wanted) / 12 - 1) AS n
        CROSS JOIN LATERAL (SELECT * FROM serial_state WHERE device_id = substring(wanted FROM n * 12 + 1 FOR 12) OFFSET 0) AS found;
    END IF;
END
$$;

-- Whether a use stands on a proof that this station entered, of the key that is trusted for this device at this moment.
CREATE FUNCTION serial_is_proven(of_device BYTEA, of_generation BIGINT, by_nonce BYTEA, by_station BYTEA) RETURNS BOOLEAN
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT EXISTS (
        SELECT 1 FROM pin
        JOIN key_claim ON key_claim.device_id = pin.device_id AND key_claim.generation = pin.generation AND key_claim.turn = pin.turn
        JOIN proof ON proof.fingerprint = key_claim.fingerprint AND proof.device_id = pin.device_id
        WHERE pin.device_id = of_device AND pin.generation = of_generation AND proof.nonce = by_nonce AND proof.station = by_station
    ) AND NOT EXISTS (
        SELECT 1 FROM pin_revocation WHERE device_id = of_device AND generation = of_generation
    )
$$;

-- Whether a pin stands on the word of people, and not on a bench.
CREATE FUNCTION pin_is_of_people(of_device BYTEA, of_generation BIGINT) RETURNS BOOLEAN
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT EXISTS (
        SELECT 1 FROM pin
        WHERE device_id = of_device AND generation = of_generation AND claim_is_of_people(device_id, generation, turn)
    )
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
GRANT EXECUTE ON FUNCTION serials_by_name(TEXT), serials_by_label(TEXT, BIGINT), serials_by_device(BYTEA)
    TO keyline_station, keyline_key_administrator, keyline_auditor;
GRANT EXECUTE ON FUNCTION serial_is_proven(BYTEA, BIGINT, BYTEA, BYTEA) TO keyline_station;
GRANT EXECUTE ON FUNCTION pin_is_of_people(BYTEA, BIGINT) TO keyline_key_administrator;

-- `serial_state` is not granted to a station: a view is its owner's, past all policies.
GRANT SELECT, INSERT ON serial_use TO keyline_station, keyline_key_administrator;
GRANT SELECT ON serial_use TO keyline_auditor;
GRANT SELECT ON serial_state TO keyline_key_administrator, keyline_auditor;

ALTER TABLE serial_use ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON serial_use FOR SELECT TO keyline_station USING (station = (SELECT current_station()));
CREATE POLICY own_serials ON serial_use FOR INSERT TO keyline_station WITH CHECK (
    station = (SELECT current_station()) AND nonce IS NOT NULL AND serial_is_proven(device_id, generation, nonce, station)
);
CREATE POLICY all_rows ON serial_use FOR SELECT TO keyline_key_administrator, keyline_auditor USING (true);
CREATE POLICY not_from_a_bench ON serial_use FOR INSERT TO keyline_key_administrator
    WITH CHECK (nonce IS NULL AND station IS NULL AND pin_is_of_people(device_id, generation));

