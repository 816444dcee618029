-- Who may do what in the database, on PostgreSQL. A station inserts its own rows and changes none; what others have entered it gets only
-- by naming a key or a device that it has in its hand.
--
-- The roles belong to the whole server: they may be there from another registry, which shares nothing else with this one. Each station,
-- person and program has a role of its own that is a member of one of these and logs in with its own certificate.
DO $$
DECLARE
    wanted TEXT;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['keyline_station', 'keyline_key_administrator', 'keyline_auditor'] LOOP
        IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL; -- Another registry on this server made it at this moment.
            END;
        END IF;
    END LOOP;
END
$$;

-- A revocation is of a pin that is there; the portable schema can't say so, because the three tables would refer to each other.
ALTER TABLE pin_revocation
    ADD CONSTRAINT pin_revocation_of FOREIGN KEY (device_id, generation) REFERENCES pin (device_id, generation);

-- The station whose role has logged in; NULL for everybody else, and for a retired station from that moment on.
CREATE FUNCTION current_station() RETURNS BYTEA
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT id FROM station
    WHERE login = session_user AND NOT EXISTS (SELECT 1 FROM station_retirement WHERE station_retirement.station = station.id)
$$;

-- Whether whoever has logged in may see what he names: a station that is not retired, and everybody who may see everything anyway.
CREATE FUNCTION may_look_up() RETURNS BOOLEAN
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT current_station() IS NOT NULL
        OR pg_has_role(session_user, 'keyline_auditor', 'MEMBER')
        OR pg_has_role(session_user, 'keyline_key_administrator', 'MEMBER')
$$;

-- Look-ups by values that the caller names. Each value is looked for by itself, through an index, whatever the planner knows of the
-- tables (`OFFSET 0` keeps it from joining them as a whole): reading a whole table would take time that grows with the registry, and in a
-- serializable transaction it would conflict with every other station's writes. In PL/pgSQL, because its plans stay with the session.

-- The keys with these fingerprints, 32 bytes each, one after the other.
CREATE FUNCTION keys_by_fingerprint(wanted BYTEA) RETURNS SETOF key_state
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
BEGIN
    IF may_look_up() AND length(wanted) <= 32 * 1024 THEN
        RETURN QUERY SELECT found.*
        FROM generate_series(0, length(wanted) / 32 - 1) AS n
        CROSS JOIN LATERAL (SELECT * FROM key_state WHERE fingerprint = substring(wanted FROM n * 32 + 1 FOR 32) OFFSET 0) AS found;
    END IF;
END
$$;

-- The keys of these devices, 12 bytes each, one after the other.
CREATE FUNCTION keys_by_device(wanted BYTEA) RETURNS SETOF key_state
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
BEGIN
    IF may_look_up() AND length(wanted) <= 12 * 1024 THEN
        RETURN QUERY SELECT found.*
        FROM generate_series(0, length(wanted) / 12 - 1) AS n
        CROSS JOIN LATERAL (SELECT * FROM key_state WHERE device_id = substring(wanted FROM n * 12 + 1 FOR 12) OFFSET 0) AS found;
    END IF;
END
$$;

-- The proofs with these nonces, 32 bytes each, one after the other.
CREATE FUNCTION proofs_by_nonce(wanted BYTEA) RETURNS SETOF proof
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
BEGIN
    IF may_look_up() AND length(wanted) <= 32 * 1024 THEN
        RETURN QUERY SELECT found.*
        FROM generate_series(0, length(wanted) / 32 - 1) AS n
        CROSS JOIN LATERAL (SELECT * FROM proof WHERE nonce = substring(wanted FROM n * 32 + 1 FOR 32) OFFSET 0) AS found;
    END IF;
END
$$;

-- The first proofs of these keys, 32 bytes each, one after the other.
CREATE FUNCTION first_proofs(wanted BYTEA) RETURNS SETOF first_proof
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
BEGIN
    IF may_look_up() AND length(wanted) <= 32 * 1024 THEN
        RETURN QUERY SELECT found.*
        FROM generate_series(0, length(wanted) / 32 - 1) AS n
        CROSS JOIN LATERAL (SELECT * FROM first_proof WHERE fingerprint = substring(wanted FROM n * 32 + 1 FOR 32) OFFSET 0) AS found;
    END IF;
END
$$;

-- A page of the keys that one station has claimed: for that station, and for whoever may see everything.
CREATE FUNCTION keys_of_station(wanted BYTEA, after BYTEA, most BIGINT) RETURNS SETOF key_state
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT * FROM key_state
    WHERE station = wanted AND fingerprint > after AND may_look_up()
        AND (current_station() IS NULL OR station = current_station())
    ORDER BY fingerprint LIMIT most
$$;

-- Whether a pin stands on a proof: of this device and the claimed key, entered by this station, and the claim is the latest of its
-- generation. The signature in the proof is not checked here; auditors do.
CREATE FUNCTION pin_is_proven(
    of_device BYTEA, of_generation BIGINT, of_turn BIGINT, by_nonce BYTEA, by_station BYTEA
) RETURNS BOOLEAN
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT EXISTS (
        SELECT 1 FROM key_claim JOIN proof ON proof.fingerprint = key_claim.fingerprint AND proof.device_id = key_claim.device_id
        WHERE key_claim.device_id = of_device AND key_claim.generation = of_generation AND key_claim.turn = of_turn
            AND proof.nonce = by_nonce AND proof.station = by_station
    ) AND NOT EXISTS (
        SELECT 1 FROM key_claim WHERE device_id = of_device AND generation = of_generation AND turn > of_turn
    )
$$;

-- Whether a key was claimed by this station.
CREATE FUNCTION claim_is_of(of_device BYTEA, of_generation BIGINT, of_turn BIGINT, wanted BYTEA) RETURNS BOOLEAN
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT EXISTS (
        SELECT 1 FROM key_claim
        WHERE device_id = of_device AND generation = of_generation AND turn = of_turn AND station = wanted
    )
$$;

-- Whether a claim stands on the word of people, and not on a bench.
CREATE FUNCTION claim_is_of_people(of_device BYTEA, of_generation BIGINT, of_turn BIGINT) RETURNS BOOLEAN
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT EXISTS (
        SELECT 1 FROM key_claim
        WHERE device_id = of_device AND generation = of_generation AND turn = of_turn AND basis <> 'bench'
    )
$$;

-- Whose a log is. A station that shows another's has to be told so.
CREATE FUNCTION log_by_origin(wanted TEXT) RETURNS SETOF log
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT * FROM log WHERE origin = wanted AND may_look_up()
$$;

-- Raises an alarm on both sides. Who holds the key, or which key the device has, is looked up here: a station can't make it up, and
-- can't raise one where there is no conflict.
CREATE FUNCTION raise_alarm(
    alarm_id BYTEA, holder_alarm_id BYTEA, alarm_kind TEXT, shown_device BYTEA, shown_key BYTEA, shown_station BYTEA, in_run BYTEA,
    shown_evidence TEXT, now_ms BIGINT
) RETURNS BIGINT
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    me     BYTEA := current_station();
    holder key_state%ROWTYPE;
BEGIN
    -- The owner of the schema may speak for any station.
    IF me IS NULL AND pg_has_role(session_user, current_user, 'MEMBER') THEN
        me := shown_station;
    END IF;
    IF me IS NULL OR me <> shown_station THEN
        RAISE insufficient_privilege USING MESSAGE = 'expected an enrolled station to raise an alarm, got ' || session_user;
    END IF;
    IF alarm_kind = 'key-belongs-to-another' THEN
        SELECT * INTO holder FROM key_state WHERE fingerprint = shown_key AND device_id <> shown_device;
    ELSE
        SELECT * INTO holder FROM key_state WHERE device_id = shown_device AND fingerprint <> shown_key AND state = 'active';
    END IF;
    IF holder.fingerprint IS NULL THEN
        RAISE integrity_constraint_violation USING MESSAGE = 'expected a conflict, there is none', CONSTRAINT = 'alarm_conflict';
    END IF;
    INSERT INTO alarm VALUES (alarm_id, 'refused', alarm_kind, shown_device, shown_key, holder.device_id, holder.fingerprint, me,
        holder.station, in_run, shown_evidence, now_ms);
    IF holder.station IS NOT NULL THEN
        INSERT INTO alarm VALUES (holder_alarm_id, 'holder', alarm_kind, shown_device, shown_key, holder.device_id,
            holder.fingerprint, holder.station, me, in_run, shown_evidence, now_ms);
    END IF;
    RETURN 1;
END
$$;

-- Enrols a station: its row, and a role of its own that logs in.
CREATE FUNCTION enrol_station(station_id BYTEA, station_name TEXT, station_certificate BYTEA, operator TEXT, now_ms BIGINT) RETURNS TEXT
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    login TEXT := 'station_' || encode(station_id, 'hex');
BEGIN
    INSERT INTO station VALUES (station_id, station_name, login, station_certificate, operator, now_ms);
    EXECUTE format('CREATE ROLE %I LOGIN IN ROLE keyline_station', login);
    RETURN login;
END
$$;

-- Retires a station: its role logs in no more, and whoever is logged in with it may do nothing from now on.
CREATE FUNCTION retire_station(station_id BYTEA, next_station BYTEA, operator TEXT, why TEXT, now_ms BIGINT) RETURNS TEXT
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    retired_login TEXT;
BEGIN
    SELECT login INTO STRICT retired_login FROM station WHERE id = station_id;
    INSERT INTO station_retirement VALUES (station_id, next_station, operator, why, now_ms);
    EXECUTE format('ALTER ROLE %I NOLOGIN', retired_login);
    RETURN retired_login;
END
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
GRANT EXECUTE ON FUNCTION current_station(), may_look_up(), keys_by_fingerprint(BYTEA), keys_by_device(BYTEA), proofs_by_nonce(BYTEA),
    first_proofs(BYTEA), keys_of_station(BYTEA, BYTEA, BIGINT), log_by_origin(TEXT) TO keyline_station, keyline_key_administrator, keyline_auditor;
GRANT EXECUTE ON FUNCTION pin_is_proven(BYTEA, BIGINT, BIGINT, BYTEA, BYTEA), claim_is_of(BYTEA, BIGINT, BIGINT, BYTEA)
    TO keyline_station;
GRANT EXECUTE ON FUNCTION claim_is_of_people(BYTEA, BIGINT, BIGINT) TO keyline_key_administrator;
GRANT EXECUTE ON FUNCTION raise_alarm(BYTEA, BYTEA, TEXT, BYTEA, BYTEA, BYTEA, BYTEA, TEXT, BIGINT) TO keyline_station;
GRANT EXECUTE ON FUNCTION enrol_station(BYTEA, TEXT, BYTEA, TEXT, BIGINT), retire_station(BYTEA, BYTEA, TEXT, TEXT, BIGINT)
    TO keyline_key_administrator;

-- What everybody may read who has a role: the version, who may say yes, and which stations there are.
GRANT SELECT ON meta, authority_root, authority_bundle, station, station_retirement
    TO keyline_station, keyline_key_administrator, keyline_auditor;

-- A station inserts, and reads its own rows. `key_state` is not granted to it: a view is its owner's, past all policies.
GRANT SELECT, INSERT ON key_claim, proof, pin, pin_revocation, log, log_checkpoint, log_alarm TO keyline_station;
GRANT SELECT ON alarm TO keyline_station;

-- A key administrator enters bundles, acts and what follows from them, and reads everything.
GRANT SELECT ON key_claim, proof, pin, pin_revocation, act_request, act_approval, alarm, log, log_checkpoint, log_alarm, key_state, first_proof
    TO keyline_key_administrator, keyline_auditor;
GRANT INSERT ON key_claim, pin, pin_revocation, act_request, act_approval, authority_bundle TO keyline_key_administrator;
-- The root policy is entered by the owner of the schema, who could do anything anyway.

ALTER TABLE key_claim ENABLE ROW LEVEL SECURITY;
ALTER TABLE proof ENABLE ROW LEVEL SECURITY;
ALTER TABLE pin ENABLE ROW LEVEL SECURITY;
ALTER TABLE pin_revocation ENABLE ROW LEVEL SECURITY;
ALTER TABLE alarm ENABLE ROW LEVEL SECURITY;
ALTER TABLE log ENABLE ROW LEVEL SECURITY;
ALTER TABLE log_checkpoint ENABLE ROW LEVEL SECURITY;
ALTER TABLE log_alarm ENABLE ROW LEVEL SECURITY;

-- `(SELECT …)`: once a statement, not once a row.
CREATE POLICY own_rows ON key_claim FOR SELECT TO keyline_station USING (station = (SELECT current_station()));
CREATE POLICY own_claims ON key_claim FOR INSERT TO keyline_station
    WITH CHECK (station = (SELECT current_station()) AND basis = 'bench');
CREATE POLICY own_rows ON proof FOR SELECT TO keyline_station USING (station = (SELECT current_station()));
CREATE POLICY own_proofs ON proof FOR INSERT TO keyline_station WITH CHECK (station = (SELECT current_station()));
CREATE POLICY own_rows ON pin FOR SELECT TO keyline_station USING (station = (SELECT current_station()));
CREATE POLICY own_pins ON pin FOR INSERT TO keyline_station
    WITH CHECK (
        station = (SELECT current_station()) AND nonce IS NOT NULL AND pin_is_proven(device_id, generation, turn, nonce, station)
    );
CREATE POLICY own_rows ON pin_revocation FOR SELECT TO keyline_station USING (station = (SELECT current_station()));
CREATE POLICY own_scraps ON pin_revocation FOR INSERT TO keyline_station WITH CHECK (
    station = (SELECT current_station()) AND act IS NULL AND EXISTS (
        SELECT 1 FROM pin
        WHERE pin.device_id = pin_revocation.device_id AND pin.generation = pin_revocation.generation
            AND pin.station = (SELECT current_station())
            AND claim_is_of(pin.device_id, pin.generation, pin.turn, pin.station)
    )
);
CREATE POLICY own_rows ON alarm FOR SELECT TO keyline_station USING (station = (SELECT current_station()));
CREATE POLICY own_rows ON log FOR SELECT TO keyline_station USING (station = (SELECT current_station()));
-- A log is named after its station: nobody takes another's name before it shows its log.
CREATE POLICY own_log ON log FOR INSERT TO keyline_station WITH CHECK (
    station = (SELECT current_station()) AND origin = (SELECT name FROM station AS enrolled WHERE enrolled.id = (SELECT current_station()))
);
CREATE POLICY own_rows ON log_checkpoint FOR SELECT TO keyline_station
    USING (origin IN (SELECT origin FROM log WHERE station = (SELECT current_station())));
CREATE POLICY own_checkpoints ON log_checkpoint FOR INSERT TO keyline_station
    WITH CHECK (origin IN (SELECT origin FROM log WHERE station = (SELECT current_station())));
CREATE POLICY own_rows ON log_alarm FOR SELECT TO keyline_station USING (station = (SELECT current_station()));
CREATE POLICY own_log_alarms ON log_alarm FOR INSERT TO keyline_station WITH CHECK (station = (SELECT current_station()));

CREATE POLICY all_rows ON key_claim FOR SELECT TO keyline_key_administrator, keyline_auditor USING (true);
CREATE POLICY all_rows ON proof FOR SELECT TO keyline_key_administrator, keyline_auditor USING (true);
CREATE POLICY all_rows ON pin FOR SELECT TO keyline_key_administrator, keyline_auditor USING (true);
CREATE POLICY all_rows ON pin_revocation FOR SELECT TO keyline_key_administrator, keyline_auditor USING (true);
CREATE POLICY all_rows ON alarm FOR SELECT TO keyline_key_administrator, keyline_auditor USING (true);
CREATE POLICY all_rows ON log FOR SELECT TO keyline_key_administrator, keyline_auditor USING (true);
CREATE POLICY all_rows ON log_checkpoint FOR SELECT TO keyline_key_administrator, keyline_auditor USING (true);
CREATE POLICY all_rows ON log_alarm FOR SELECT TO keyline_key_administrator, keyline_auditor USING (true);
-- What people enter stands on an act of two, or on an import; never on a bench.
CREATE POLICY not_from_a_bench ON key_claim FOR INSERT TO keyline_key_administrator WITH CHECK (basis <> 'bench' AND station IS NULL);
CREATE POLICY not_from_a_bench ON pin FOR INSERT TO keyline_key_administrator
    WITH CHECK (nonce IS NULL AND station IS NULL AND claim_is_of_people(device_id, generation, turn));
CREATE POLICY by_an_act ON pin_revocation FOR INSERT TO keyline_key_administrator WITH CHECK (act IS NOT NULL AND station IS NULL);
