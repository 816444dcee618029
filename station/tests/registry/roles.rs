//! What each role of the database may do, tried statement by statement: everything that must fail fails.

use keyline_station::record::StationId;
use keyline_station::registry::{NewStation, Registry, RegistryError, Retirement};

use crate::fixture::{
    Key, Place, claim, device, fingerprint, label, labelled, proof, sign_claim, sign_proof,
};
use crate::postgres::Postgres;

const TABLES: [&str; 19] = [
    "meta",
    "key_claim",
    "proof",
    "pin",
    "act_request",
    "act_approval",
    "pin_revocation",
    "serial_use",
    "alarm",
    "log",
    "log_checkpoint",
    "log_alarm",
    "authority_root",
    "authority_bundle",
    "station",
    "station_retirement",
    "cloud_key",
    "product_build",
    "_sqlx_migrations",
];

/// Whoever logs in to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Station,
    OtherStation,
    RetiredStation,
    KeyAdministrator,
    Auditor,
    Stranger,
}

const EVERYBODY: [Who; 6] = [
    Who::Station,
    Who::OtherStation,
    Who::RetiredStation,
    Who::KeyAdministrator,
    Who::Auditor,
    Who::Stranger,
];

/// A registry with two stations that each have entered something, one that is retired, and people.
pub(crate) struct Cast {
    pub(crate) place: Place,
    logins: Vec<(Who, String)>,
    pub(crate) station: StationId,
}

/// Enrols a station and gives its id and role.
pub(crate) async fn enrolled(registry: &Registry, name: &str) -> (StationId, String) {
    let id = StationId::generate();
    let station = NewStation {
        id,
        name: name.to_owned(),
        certificate: None,
        operator: "op-1".to_owned(),
    };
    let login = registry.enrol_station(&station).await.unwrap();
    (id, login)
}

/// Claims and pins a key as a station.
async fn enter(registry: &Registry, station: StationId, n: u32) -> Key {
    let key = Key::p256();
    let mut mine = claim(n, &key);
    mine.station = station;
    sign_claim(&mut mine, &key);
    registry.claim(mine).await.unwrap();
    let mut shown = proof(n, &key);
    shown.station = station;
    sign_proof(&mut shown, &key);
    let label = label("thermostat", &format!("TH-{n}"));
    registry.pin(labelled(shown, &label)).await.unwrap();
    key
}

impl Cast {
    pub(crate) async fn new() -> Self {
        let place = Place::postgres().await;
        let owner = place.open().await;
        let (station, login) = enrolled(&owner, "line-1").await;
        let (other, other_login) = enrolled(&owner, "line-2").await;
        let (retired, retired_login) = enrolled(&owner, "line-3").await;
        for (n, id, login) in [
            (1, station, &login),
            (2, other, &other_login),
            (3, retired, &retired_login),
        ] {
            let registry = Registry::connect(&place.server().url(login, "keyline")).await;
            let registry = registry.unwrap();
            enter(&registry, id, n).await;
            registry.close().await;
        }
        let retirement = Retirement {
            id: retired,
            successor: Some(station),
            operator: "op-1".to_owned(),
            reason: "moved".to_owned(),
        };
        owner.retire_station(&retirement).await.unwrap();
        owner.close().await;
        let server = place.server();
        for sql in [
            "CREATE ROLE kate LOGIN IN ROLE keyline_key_administrator",
            "CREATE ROLE audrey LOGIN IN ROLE keyline_auditor",
            "CREATE ROLE stranger LOGIN",
            // The worst of a retired station: its connection was open, or somebody let it log in again.
            &format!("ALTER ROLE {retired_login} LOGIN"),
        ] {
            server.sql("owner", "keyline", sql).unwrap();
        }
        Self {
            logins: vec![
                (Who::Station, login),
                (Who::OtherStation, other_login),
                (Who::RetiredStation, retired_login),
                (Who::KeyAdministrator, "kate".to_owned()),
                (Who::Auditor, "audrey".to_owned()),
                (Who::Stranger, "stranger".to_owned()),
            ],
            place,
            station,
        }
    }

    pub(crate) fn server(&self) -> &Postgres {
        self.place.server()
    }

    fn login(&self, who: Who) -> &str {
        let found = self.logins.iter().find(|(one, _)| *one == who);
        &found.unwrap().1
    }

    /// Tries a statement as everybody, undone afterwards; only those named may succeed.
    pub(crate) fn only(&self, may: &[Who], sql: &str) {
        let undone = format!("BEGIN; {sql}; ROLLBACK");
        for who in EVERYBODY {
            let done = self.server().sql(self.login(who), "keyline", &undone);
            assert_eq!(done.is_ok(), may.contains(&who), "{who:?}: {sql}: {done:?}");
            if let Err(words) = done {
                let refused = [
                    "permission denied",
                    "must be owner",
                    "row-level security",
                    "must be superuser",
                    "expected an enrolled station",
                ];
                assert!(
                    refused.iter().any(|refusal| words.contains(refusal)),
                    "{who:?}: {sql}: refused for another reason: {words}"
                );
            }
        }
    }

    /// The key that was claimed for a device.
    fn key_of(&self, n: u32) -> Vec<u8> {
        let device = hex::encode(device(n).0.as_bytes());
        let sql = format!(
            "SELECT encode(fingerprint, 'hex') FROM key_claim WHERE device_id = '\\x{device}'"
        );
        let found = self.server().sql("owner", "keyline", &sql).unwrap();
        hex::decode(found).unwrap()
    }

    pub(crate) fn count(&self, who: Who, sql: &str) -> String {
        self.server().sql(self.login(who), "keyline", sql).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_changes_or_removes_a_row() {
    let cast = Cast::new().await;
    for table in TABLES {
        cast.only(&[], &format!("DELETE FROM {table}"));
        cast.only(&[], &format!("TRUNCATE {table} CASCADE"));
        let column = match table {
            "meta" => "min_client = 0",
            "_sqlx_migrations" => "success = true",
            "authority_root" | "authority_bundle" => "digest = ''",
            "act_request" | "act_approval" | "log_checkpoint" | "log_alarm" => "note = ''",
            "station" => "login = 'x'",
            "station_retirement" | "pin_revocation" => "reason = ''",
            "log" => "origin = ''",
            "product_build" => "product = ''",
            "proof" => "record = ''",
            "pin" => "weak = 0",
            "serial_use" => "serial = ''",
            "alarm" => "evidence = ''",
            _ => "public_key = ''",
        };
        cast.only(&[], &format!("UPDATE {table} SET {column}"));
        cast.only(&[], &format!("SELECT * FROM {table} FOR UPDATE"));
        cast.only(&[], &format!("DROP TABLE {table} CASCADE"));
        cast.only(
            &[],
            &format!("ALTER TABLE {table} DISABLE ROW LEVEL SECURITY"),
        );
    }
    for sql in [
        "CREATE TABLE mine (n INT)",
        "CREATE FUNCTION mine() RETURNS INT LANGUAGE sql AS 'SELECT 1'",
        "CREATE ROLE mine",
        "SET ROLE owner",
        "SET SESSION AUTHORIZATION owner",
        "COPY key_claim TO PROGRAM 'cat'",
        "CREATE EXTENSION pgcrypto",
        "DROP POLICY own_claims ON key_claim",
    ] {
        cast.only(&[], sql);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_reads_what_it_needs() {
    let cast = Cast::new().await;
    let stations = [Who::Station, Who::OtherStation, Who::RetiredStation];
    let people = [Who::KeyAdministrator, Who::Auditor];
    let all: Vec<_> = stations.into_iter().chain(people).collect();
    for table in [
        "meta",
        "authority_root",
        "authority_bundle",
        "station",
        "station_retirement",
        "cloud_key",
        "product_build",
    ] {
        cast.only(&all, &format!("SELECT * FROM {table}"));
    }
    for table in [
        "key_claim",
        "proof",
        "pin",
        "pin_revocation",
        "serial_use",
        "alarm",
        "log",
        "log_checkpoint",
        "log_alarm",
    ] {
        cast.only(&all, &format!("SELECT * FROM {table}"));
    }
    for table in [
        "key_state",
        "serial_state",
        "first_proof",
        "carried_cloud_key",
        "act_request",
        "act_approval",
    ] {
        cast.only(&people, &format!("SELECT * FROM {table}"));
    }
    cast.only(&[], "SELECT * FROM _sqlx_migrations");

    for table in ["key_claim", "proof", "pin", "serial_use"] {
        let sql = format!("SELECT COUNT(*) FROM {table}");
        let seen = |who| cast.count(who, &sql);
        assert_eq!(
            (seen(Who::Station), seen(Who::OtherStation)),
            ("1".to_owned(), "1".to_owned())
        );
        assert_eq!(seen(Who::RetiredStation), "0");
        assert_eq!(
            (seen(Who::KeyAdministrator), seen(Who::Auditor)),
            ("3".to_owned(), "3".to_owned())
        );
    }
    // What a station has in its hand it may look up; nothing else, and nothing once it is retired.
    let of_other = format!(
        "keys_by_device('\\x{}')",
        hex::encode(device(2).0.as_bytes())
    );
    let sql = format!("SELECT COUNT(*) FROM {of_other}");
    assert_eq!(cast.count(Who::Station, &sql), "1");
    assert_eq!(cast.count(Who::RetiredStation, &sql), "0");
    let of_station = format!(
        "SELECT COUNT(*) FROM keys_of_station('\\x{}', '', 10)",
        hex::encode(cast.station.as_bytes())
    );
    assert_eq!(cast.count(Who::Station, &of_station), "1");
    assert_eq!(cast.count(Who::OtherStation, &of_station), "0");
    assert_eq!(cast.count(Who::Auditor, &of_station), "1");
    cast.only(&all, &sql);
}

/// A revocation without an act, because the unit is scrapped.
pub(crate) fn scrap(device: u32, station: &str) -> String {
    let device = hex::encode(crate::fixture::device(device).0.as_bytes());
    format!(
        "INSERT INTO pin_revocation VALUES ('\\x{device}', 1, NULL, {station}, 'op', 'broken', 0)"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_inserts_its_own_only() {
    let cast = Cast::new().await;
    let station = hex::encode(cast.station.as_bytes());
    let (key, new_device, nonce, id) = (
        "01".repeat(32),
        "02".repeat(12),
        "09".repeat(32),
        "0b".repeat(16),
    );
    let claim = |basis: &str, station: &str| {
        format!(
            "INSERT INTO key_claim (fingerprint, device_id, generation, turn, basis, algorithm, made, public_key, challenge, signature, \
             station, customer, product, work_order, run, rework, claimed_at_ms) \
             VALUES ('\\x{key}', '\\x{new_device}', 1, 1, '{basis}', 'p256', 'on-device', '\\x03', '\\x{key}', '', {station}, '', '\\x{id}', '\\x{id}', \
             '\\x{id}', 0, 0)"
        )
    };
    let mine = format!("'\\x{station}'");
    cast.only(&[Who::Station], &claim("bench", &mine));
    cast.only(&[], &claim("import", &mine));
    cast.only(&[Who::KeyAdministrator], &claim("import", "NULL"));
    // Alone a key administrator gives no device another key: that stands on an act.
    let alone = claim("rotation", "NULL");
    let alone = cast
        .server()
        .sql(cast.login(Who::KeyAdministrator), "keyline", &alone);
    assert!(alone.unwrap_err().contains("key_claim_rotation"));
    // A station pins on a proof only, a person never on one.
    let proof = format!(
        "INSERT INTO proof VALUES ('\\x{nonce}', '\\x{new_device}', '\\x{key}', {mine}, '', '', 0)"
    );
    let bench_pin =
        format!("INSERT INTO pin VALUES ('\\x{new_device}', 1, 1, '\\x{nonce}', 0, {mine}, 0)");
    cast.only(
        &[Who::Station],
        &format!("{}; {proof}; {bench_pin}", claim("bench", &mine)),
    );
    let bare_pin = format!("INSERT INTO pin VALUES ('\\x{new_device}', 1, 1, NULL, 0, NULL, 0)");
    // The proof of another key, and a pin of another station's claim.
    let other_proof = proof.replace(
        &format!("'\\x{key}'"),
        &format!("'\\x{}'", hex::encode(cast.key_of(1))),
    );
    cast.only(
        &[],
        &format!("{}; {other_proof}; {bench_pin}", claim("bench", &mine)),
    );
    cast.only(&[], &format!("{}; {bare_pin}", claim("bench", &mine)));
    cast.only(
        &[Who::KeyAdministrator],
        &format!("{}; {bare_pin}", claim("import", "NULL")),
    );
    // Scrapping: a station what it pinned itself, nobody anything of another's.
    cast.only(&[Who::Station], &scrap(1, &mine));
    cast.only(&[], &scrap(2, &mine));
    // A second pin of a living unit: a generation is opened by a revocation only.
    let second = claim("bench", &mine).replace("1, 1, 'bench'", "2, 1, 'bench'");
    let second = cast
        .server()
        .sql(cast.login(Who::Station), "keyline", &second);
    assert!(second.unwrap_err().contains("key_claim_generation"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cloud_key_is_entered_with_its_bundle_and_a_station_says_only_what_it_builds() {
    let cast = Cast::new().await;
    let (digest, unpublished, id) = ("0d".repeat(32), "0e".repeat(32), "0f".repeat(16));
    let sql = format!(
        "INSERT INTO authority_bundle VALUES ('product', 'sensor', 1, '\\x{digest}', 'note', 0)"
    );
    cast.server().sql("owner", "keyline", &sql).unwrap();
    let mine = format!("'\\x{}'", hex::encode(cast.station.as_bytes()));
    let key = |product: &str, bundle: &str, station: &str| {
        format!(
            "INSERT INTO cloud_key VALUES ('{product}', 1, '\\x{digest}', '\\x01', 'cloud.example:1', '\\x{bundle}', {station}, 'op', 0)"
        )
    };
    cast.only(&[Who::KeyAdministrator], &key("sensor", &digest, "NULL"));
    cast.only(&[], &key("sensor", &digest, &mine));
    cast.only(&[], &key("sensor", &unpublished, "NULL"));
    cast.only(&[], &key("gateway", &digest, "NULL"));
    let build = |product: &str, bundle: &str| {
        format!(
            "INSERT INTO product_build VALUES ('\\x{id}', '{product}', '\\x{bundle}', {mine}, 'op', 0)"
        )
    };
    cast.only(&[Who::Station], &build("sensor", &digest));
    cast.only(&[], &build("sensor", &unpublished));
    cast.only(&[], &build("gateway", &digest));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_act_in_twos_and_an_alarm_needs_a_conflict() {
    let cast = Cast::new().await;
    let (key, id) = ("01".repeat(32), "0b".repeat(16));
    let mine = format!("'\\x{}'", hex::encode(cast.station.as_bytes()));
    // People revoke by an act on which two of them agreed.
    let act = |approver: &str| {
        let device = hex::encode(crate::fixture::device(1).0.as_bytes());
        format!(
            "INSERT INTO act_request VALUES ('\\x{key}', 'pin-revoke', '\\x{device}', '\\x01', NULL, 'ann', '', 0); \
             INSERT INTO act_approval VALUES ('\\x{key}', 'ann', '{approver}', '', 0); \
             INSERT INTO pin_revocation VALUES ('\\x{device}', 1, '\\x{key}', NULL, 'ann', 'stolen', 0)"
        )
    };
    cast.only(&[Who::KeyAdministrator], &act("ben"));
    let alone = cast
        .server()
        .sql(cast.login(Who::KeyAdministrator), "keyline", &act("ann"));
    assert!(alone.unwrap_err().contains("act_approval_two_people"));
    let without = scrap(1, "NULL");
    let without = cast
        .server()
        .sql(cast.login(Who::KeyAdministrator), "keyline", &without);
    assert!(without.is_err(), "{without:?}");
    for table in [
        "meta",
        "alarm",
        "station",
        "station_retirement",
        "_sqlx_migrations",
    ] {
        cast.only(&[], &format!("INSERT INTO {table} SELECT * FROM {table}"));
    }
    cast.only(
        &[Who::Station],
        &format!("INSERT INTO log VALUES ('line-1', {mine}, 0)"),
    );
    cast.only(
        &[Who::Station],
        &format!(
            "INSERT INTO log_alarm VALUES ('\\x01', 'log-forked', 'line-1', {mine}, 1, 1, '', 0)"
        ),
    );
    let enrol =
        "SELECT enrol_station('\\x00112233445566778899aabbccddeeff', 'line-9', NULL, 'op', 0)";
    cast.only(&[Who::KeyAdministrator], enrol);
    cast.only(
        &[Who::KeyAdministrator],
        &format!("SELECT retire_station({mine}, NULL, 'op', 'why', 0)"),
    );
    let other_id = "0c".repeat(16);
    let alarm = |kind: &str, device: u32, key: &str| {
        let device = hex::encode(crate::fixture::device(device).0.as_bytes());
        format!(
            "SELECT raise_alarm('\\x{id}', '\\x{other_id}', '{kind}', '\\x{device}', '\\x{key}', {mine}, '\\x{id}', '', 0)"
        )
    };
    cast.only(
        &[Who::Station],
        &alarm("device-has-another-key", 2, &"05".repeat(32)),
    );
    // An alarm without a conflict is refused, whoever raises it.
    let made_up = cast.server().sql(
        cast.login(Who::Station),
        "keyline",
        &alarm("device-has-another-key", 77, &"05".repeat(32)),
    );
    assert!(
        made_up
            .unwrap_err()
            .contains("expected a conflict, there is none")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_loser_learns_the_winner_and_both_have_the_alarm() {
    let cast = Cast::new().await;
    let connect = |who| {
        let url = cast.server().url(cast.login(who), "keyline");
        async move { Registry::connect(&url).await.unwrap() }
    };
    let (winner, loser) = (
        connect(Who::Station).await,
        connect(Who::OtherStation).await,
    );
    let key = enter(&winner, cast.station, 50).await;
    let mut clone = claim(51, &key);
    clone.station = StationId::from_bytes(
        hex::decode(cast.login(Who::OtherStation).trim_start_matches("station_"))
            .unwrap()
            .try_into()
            .unwrap(),
    );
    sign_claim(&mut clone, &key);
    let refused = loser.claim(clone.clone()).await.unwrap_err();
    assert!(
        matches!(refused, RegistryError::KeyBelongsToAnother { owner, .. } if owner == device(50)),
        "{refused}"
    );
    for (registry, station, other) in [
        (&loser, clone.station, cast.station),
        (&winner, cast.station, clone.station),
    ] {
        let alarms = registry.alarms(10).await.unwrap();
        assert_eq!(alarms.len(), 1);
        assert_eq!(
            (alarms[0].station, alarms[0].other_station),
            (station, Some(other))
        );
        assert_eq!(alarms[0].other_fingerprint, fingerprint(&key));
        assert_eq!(
            serde_json::from_str::<keyline_station::record::Claim>(&alarms[0].evidence).unwrap(),
            clone
        );
    }
    // Under another's name nothing is entered.
    let stolen = Key::p256();
    let mut foreign = claim(52, &stolen);
    foreign.station = cast.station;
    sign_claim(&mut foreign, &stolen);
    let refused = loser.claim(foreign).await.unwrap_err();
    assert!(
        matches!(refused, RegistryError::NotAllowed { .. }),
        "{refused}"
    );
    let retired = connect(Who::RetiredStation).await;
    let refused = retired.claim(claim(53, &stolen)).await.unwrap_err();
    assert!(
        matches!(refused, RegistryError::NotAllowed { .. }),
        "{refused}"
    );
}
