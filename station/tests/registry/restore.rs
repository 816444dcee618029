//! The restore drill: what was dumped comes back row for row on another server, with its roles and their rights; and what nobody can tell
//! a registry that was put back from an old dump.

use std::process::{Command, Stdio};

use keyline_station::record::StationId;
use keyline_station::registry::{Registry, RegistryError, Retirement, Revocation};

use crate::checkpoints::Log;
use crate::fixture::{
    Key, Place, claim, device, fingerprint, label, labelled, proof, sign_claim, sign_proof,
};
use crate::postgres::Postgres;
use crate::roles::enrolled;

const ORIGIN: &str = "factory.example/line-1";

/// What people enter, as rows; the registry's own acts do the rest.
const BY_PEOPLE: &str = "
    INSERT INTO act_request VALUES (repeat('a', 32)::bytea, 'rotate', 'd', 'f', NULL, 'ann', 'note', 1);
    INSERT INTO act_approval VALUES (repeat('a', 32)::bytea, 'ann', 'bob', 'note', 2);
    INSERT INTO authority_root VALUES (1, 'digest', 'policy', 1, NULL, 3);
    INSERT INTO authority_bundle VALUES ('roster', 'people', 1, 'digest', 'note', 4);
    INSERT INTO cloud_key VALUES ('sensor', 1, repeat('b', 32)::bytea, 'spki', 'cloud:1', repeat('c', 32)::bytea, NULL, 'kate', 5);
    INSERT INTO product_build VALUES (repeat('d', 16)::bytea, 'sensor', repeat('c', 32)::bytea, repeat('e', 16)::bytea, 'kate', 6);
";

/// A registry with something in every table, and the two stations that work with it.
struct Factory {
    server: Postgres,
    stations: [(StationId, String); 2],
    retired: String,
    log: Log,
}

/// The registry as a station.
async fn as_station(server: &Postgres, login: &str) -> Registry {
    Registry::connect(&server.url(login, "keyline"))
        .await
        .unwrap()
}

/// Claims and pins a new key as a station.
async fn enter(registry: &Registry, station: StationId, n: u32) -> Result<Key, RegistryError> {
    let key = Key::p256();
    let (mut claim, mut proof) = (claim(n, &key), proof(n, &key));
    (claim.station, proof.station) = (station, station);
    sign_claim(&mut claim, &key);
    sign_proof(&mut proof, &key);
    registry.claim(claim).await?;
    let label = label("thermostat", &format!("TH-{n}"));
    registry.pin(labelled(proof, &label)).await?;
    Ok(key)
}

impl Factory {
    async fn new() -> Self {
        let Place::Postgres(server) = Place::postgres().await else {
            panic!("expected a server");
        };
        let owner = Registry::connect(&server.url("owner", "keyline"))
            .await
            .unwrap();
        let first = enrolled(&owner, ORIGIN).await;
        let second = enrolled(&owner, "line-2").await;
        let (third, retired) = enrolled(&owner, "line-3").await;
        let mut log = Log::new(ORIGIN);
        log.station = first.0;
        let registry = as_station(&server, &first.1).await;
        for n in 0..20 {
            let key = enter(&registry, first.0, n).await.unwrap();
            registry
                .enter_checkpoint(log.grow(&n.to_string()))
                .await
                .unwrap();
            if n == 0 {
                clone_is_refused(&server, &second, &key).await;
            }
        }
        let revocation = Revocation {
            device_id: device(1),
            station: first.0,
            operator: "op-1".to_owned(),
            reason: "scrapped".to_owned(),
        };
        registry.revoke(revocation).await.unwrap();
        let mut rolled_back = Log::new(ORIGIN);
        rolled_back.station = first.0;
        registry
            .enter_checkpoint(rolled_back.grow("another past"))
            .await
            .unwrap_err();
        let retirement = Retirement {
            id: third,
            successor: Some(second.0),
            operator: "op-1".to_owned(),
            reason: "moved".to_owned(),
        };
        owner.retire_station(&retirement).await.unwrap();
        registry.close().await;
        owner.close().await;
        server.sql("owner", "keyline", BY_PEOPLE).unwrap();
        Self {
            server,
            stations: [first, second],
            retired,
            log,
        }
    }
}

/// A second station shows a key of another unit: that leaves an alarm on both sides.
async fn clone_is_refused(server: &Postgres, (station, login): &(StationId, String), key: &Key) {
    let registry = as_station(server, login).await;
    let mut clone = claim(1_000, key);
    clone.station = *station;
    sign_claim(&mut clone, key);
    let refused = registry.claim(clone).await.unwrap_err();
    assert!(
        matches!(refused, RegistryError::KeyBelongsToAnother { .. }),
        "{refused}"
    );
    registry.close().await;
}

fn succeeds(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Dumps roles and database, as the documentation has it.
fn dump(server: &Postgres, directory: &std::path::Path) {
    succeeds(
        server
            .program("pg_dumpall")
            .args(["--roles-only", "--database=postgres", "--file"])
            .arg(directory.join("roles.sql")),
    );
    succeeds(
        server
            .program("pg_dump")
            .args(["--format=custom", "--dbname=keyline", "--file"])
            .arg(directory.join("keyline.dump")),
    );
}

/// Puts both back on a server that has neither.
fn restored(directory: &std::path::Path) -> Postgres {
    let server = Postgres::start();
    // Goes on after the one role that every server has.
    let roles = server
        .program("psql")
        .args(["-X", "-q", "-d", "postgres", "-f"])
        .arg(directory.join("roles.sql"))
        .stdout(Stdio::null())
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&roles.stderr).into_owned();
    let errors: Vec<_> = words
        .lines()
        .filter(|line| line.contains("ERROR"))
        .collect();
    assert!(
        matches!(&errors[..], [one] if one.contains("role \"owner\" already exists")),
        "{words}"
    );
    server.create_database("keyline");
    succeeds(
        server
            .program("pg_restore")
            .args(["--exit-on-error", "--dbname=keyline"])
            .arg(directory.join("keyline.dump")),
    );
    server
}

/// Everything in the database by name, as one text each: the rows of each table and view, and all rights.
fn everything(server: &Postgres) -> Vec<(String, String)> {
    let ask = |sql: &str| server.sql("owner", "keyline", sql).unwrap();
    let relations = ask(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v') ORDER BY 1",
    );
    let mut found: Vec<_> = relations
        .lines()
        .map(|relation| {
            let rows = ask(&format!("SELECT t::text FROM {relation} AS t ORDER BY 1"));
            assert!(!rows.is_empty(), "{relation} has rows");
            (relation.to_owned(), rows)
        })
        .collect();
    assert_eq!(found.len(), 23, "the tables, and four views");
    for (name, sql) in [
        (
            "policies",
            "SELECT p::text FROM pg_policies AS p ORDER BY 1",
        ),
        (
            "grants",
            "SELECT relname, relrowsecurity, relacl FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1",
        ),
        (
            "functions",
            "SELECT oid::regprocedure, proacl, prosecdef, proconfig, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY oid::regprocedure::text",
        ),
        (
            "constraints",
            "SELECT conrelid::regclass, pg_get_constraintdef(oid), convalidated FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY conrelid::regclass::text, 2",
        ),
        (
            "indexes",
            "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
        ),
        (
            "members",
            "SELECT pg_get_userbyid(roleid), pg_get_userbyid(member) FROM pg_auth_members WHERE pg_get_userbyid(roleid) LIKE 'keyline_%' ORDER BY 1, 2",
        ),
        (
            "logins",
            "SELECT rolname, rolcanlogin FROM pg_roles WHERE rolname LIKE 'station_%' ORDER BY 1",
        ),
    ] {
        found.push((name.to_owned(), ask(sql)));
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_comes_back_row_for_row_with_its_roles_and_their_rights() {
    let factory = Factory::new().await;
    let directory = tempfile::tempdir().unwrap();
    dump(&factory.server, directory.path());
    let before = everything(&factory.server);
    let Factory {
        server: lost,
        stations,
        retired,
        mut log,
    } = factory;
    drop(lost);

    let server = restored(directory.path());
    for (was, is) in before.iter().zip(everything(&server)) {
        assert_eq!(*was, is);
    }
    // The stations work on, each within its rights.
    let [(first, first_login), (second, second_login)] = &stations;
    let registry = as_station(&server, first_login).await;
    enter(&registry, *first, 100).await.unwrap();
    registry.enter_checkpoint(log.grow("after")).await.unwrap();
    let refused = enter(&registry, *second, 101).await.err().unwrap();
    assert!(
        matches!(refused, RegistryError::NotAllowed { .. }),
        "{refused}"
    );
    for (login, pins) in [(first_login, "21"), (second_login, "0")] {
        assert_eq!(
            server
                .sql(login, "keyline", "SELECT COUNT(*) FROM pin")
                .unwrap(),
            pins
        );
        let refused = server.sql(login, "keyline", "DELETE FROM pin").unwrap_err();
        assert!(refused.contains("permission denied"), "{refused}");
    }
    let out = server.sql(&retired, "keyline", "SELECT 1").unwrap_err();
    assert!(out.contains("is not permitted to log in"), "{out}");
    registry.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_dump_lacks_what_came_after_it_and_does_not_say_so() {
    let mut factory = Factory::new().await;
    let directory = tempfile::tempdir().unwrap();
    dump(&factory.server, directory.path());
    let (first, login) = factory.stations[0].clone();
    let registry = as_station(&factory.server, &login).await;
    let key = enter(&registry, first, 100).await.unwrap();
    registry
        .enter_checkpoint(factory.log.grow("after"))
        .await
        .unwrap();
    registry.close().await;

    let server = restored(directory.path());
    let registry = as_station(&server, &login).await;
    // What `keyline audit verify --deep` asks of each passed unit: this one's claim and pin are gone.
    assert_eq!(
        registry.by_fingerprint(fingerprint(&key)).await.unwrap(),
        None
    );
    assert_eq!(
        registry
            .latest_checkpoint(ORIGIN)
            .await
            .unwrap()
            .unwrap()
            .size,
        20
    );
    // The registry itself sees nothing: the next checkpoint stands on the last one that it knows.
    registry
        .enter_checkpoint(factory.log.grow("later"))
        .await
        .unwrap();
    registry.close().await;
}
