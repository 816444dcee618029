//! `keyline registry migrate` and `status`, as people and scripts see them.

use keyline_station::record::StationId;
use keyline_station::registry::{NewStation, Registry, Retirement};

use crate::fixture::Place;
use crate::postgres::Postgres;
use crate::program::{keyline, ran};

const HBA: &str = "host all all 127.0.0.1/32 trust\n";

/// An owner who is no superuser, as the documentation has it, and his empty database.
fn server_with_an_owner() -> Postgres {
    let server = Postgres::start_with(&[], HBA);
    for sql in [
        "CREATE ROLE keyline_owner LOGIN CREATEROLE",
        "CREATE DATABASE keyline OWNER keyline_owner",
    ] {
        server.sql("owner", "postgres", sql).unwrap();
    }
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_makes_the_schema_and_each_role_is_told_who_it_is() {
    let server = server_with_an_owner();
    let url = |role: &str| server.url(role, "keyline");
    let before = ran(&mut keyline("status", &url("keyline_owner")));
    assert_eq!(before.code, 3);
    let error = &before.only("error")["error"];
    assert_eq!(
        error["message"],
        "the registry can't be used: the registry needs schema 5 or newer, this one has 0"
    );
    assert_eq!(
        error["next"],
        "Have the owner of the registry run `keyline registry migrate`."
    );

    let made = ran(&mut keyline("migrate", &url("keyline_owner")));
    assert_eq!(made.code, 0, "{:#?}", made.lines);
    let view = made.only("registry");
    assert_eq!(
        (&view["schema_before"], &view["schema"]),
        (&0.into(), &5.into())
    );
    assert_eq!(view["engine"], "PostgreSQL");
    assert_eq!(view["rights"], serde_json::json!(["owner"]));
    assert_eq!(view["server"], format!("127.0.0.1:{}", server.port()));
    let again = ran(&mut keyline("migrate", &url("keyline_owner")));
    assert_eq!(
        (again.code, &again.only("registry")["schema_before"]),
        (0, &5.into())
    );

    let owner = Registry::connect(&url("keyline_owner")).await.unwrap();
    let id = StationId::generate();
    let login = enrol(&owner, id, "line-1").await;
    for sql in [
        "CREATE ROLE audrey LOGIN IN ROLE keyline_auditor",
        "CREATE ROLE kate LOGIN IN ROLE keyline_key_administrator",
        "CREATE ROLE stranger LOGIN",
    ] {
        server.sql("keyline_owner", "keyline", sql).unwrap();
    }
    for (role, rights) in [
        (login.as_str(), "station"),
        ("audrey", "auditor"),
        ("kate", "key administrator"),
    ] {
        let shown = ran(&mut keyline("status", &url(role)));
        assert_eq!(shown.code, 0, "{:#?}", shown.lines);
        let view = shown.only("registry");
        assert_eq!(view["role"], role);
        assert_eq!(view["rights"], serde_json::json!([rights]));
        assert_eq!(view["station"].is_null(), role != login);
    }
    let shown = ran(&mut keyline("status", &url(&login)));
    assert_eq!(shown.only("registry")["station"]["id"], id.to_string());

    let stranger = ran(&mut keyline("status", &url("stranger")));
    assert_eq!(stranger.code, 3);
    assert_eq!(
        stranger.only("error")["error"]["message"],
        "expected the role of a station, a key administrator, an auditor or the owner, stranger is none"
    );
    let refused = ran(&mut keyline("migrate", &url(&login)));
    assert_eq!(refused.code, 3);
    let error = &refused.only("error")["error"];
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("permission denied"),
        "{error}"
    );
    assert!(
        error["next"]
            .as_str()
            .unwrap()
            .starts_with("Run it as the owner")
    );
    retired_stations_are_told(&server, &owner, id, &login).await;
}

async fn retired_stations_are_told(
    server: &Postgres,
    owner: &Registry,
    id: StationId,
    login: &str,
) {
    let retirement = Retirement {
        id,
        successor: None,
        operator: "op-1".to_owned(),
        reason: "scrapped".to_owned(),
    };
    owner.retire_station(&retirement).await.unwrap();
    let out = ran(&mut keyline("status", &server.url(login, "keyline")));
    assert_eq!(out.code, 3);
    assert_eq!(
        out.only("error")["error"]["next"],
        "Look whose role it is with `keyline registry status`; a station has to be enrolled, and shows the certificate of its role."
    );
    let sql = format!("ALTER ROLE {login} LOGIN");
    server.sql("owner", "keyline", &sql).unwrap();
    let shown = ran(&mut keyline("status", &server.url(login, "keyline")));
    assert_eq!(shown.code, 0, "{:#?}", shown.lines);
    assert_eq!(
        shown.only("warning")["message"],
        "the station line-1 is retired: it enters nothing"
    );
}

async fn enrol(owner: &Registry, id: StationId, name: &str) -> String {
    let station = NewStation {
        id,
        name: name.to_owned(),
        certificate: None,
        operator: "op-1".to_owned(),
    };
    owner.enrol_station(&station).await.unwrap()
}

#[test]
fn a_file_is_made_by_a_migration_and_by_nothing_else() {
    let place = Place::sqlite();
    let missing = ran(&mut keyline("status", &place.url()));
    assert_eq!(missing.code, 3, "{:#?}", missing.lines);
    let path = place.url().trim_start_matches("sqlite:").to_owned();
    assert!(!std::path::Path::new(&path).exists());
    assert_eq!(ran(&mut keyline("migrate", &place.url())).code, 0);
    let shown = ran(&mut keyline("status", &place.url()));
    assert_eq!(shown.code, 0);
    let view = shown.only("registry");
    assert_eq!(
        (&view["engine"], &view["schema"]),
        (&"SQLite".into(), &5.into())
    );
}

#[test]
fn a_person_reads_the_schema_the_server_and_the_role() {
    let server = server_with_an_owner();
    let url = server.url("keyline_owner", "keyline");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_keyline"));
    let output = command
        .args(["registry", "migrate", "--registry", &url])
        .output()
        .unwrap();
    let words = String::from_utf8(output.stdout).unwrap();
    for expected in [
        "PostgreSQL 1",
        "5 (made now), clients from version 1",
        "keyline_owner",
        "owner",
        &server.port().to_string(),
    ] {
        assert!(words.contains(expected), "{expected}: {words}");
    }
}

#[test]
fn what_is_missing_is_named_with_what_to_do() {
    let cases = [
        (
            "postgres://ann:secret@localhost/keyline",
            "expected a registry address without a password",
            "password_file",
        ),
        (
            "postgres://ann@db.example/keyline",
            "expected the file of the authority that signed the certificate of db.example",
            "--ca-file FILE",
        ),
        (
            "mysql://ann@db.example/keyline",
            "expected a registry address sqlite:PATH or postgres://",
            "docs/OPERATIONS.md",
        ),
        (
            "postgres://ann@127.0.0.1:1/keyline",
            "the registry can't be reached",
            "Check the network",
        ),
    ];
    for act in ["migrate", "status"] {
        for (url, message, next) in cases {
            let refused = ran(&mut keyline(act, url));
            assert_eq!(refused.code, 3, "{url}");
            let error = &refused.only("error")["error"];
            assert!(
                error["message"].as_str().unwrap().contains(message),
                "{error}"
            );
            assert!(error["next"].as_str().unwrap().contains(next), "{error}");
            assert!(!error.to_string().contains("secret"));
        }
    }
    let nowhere = ran(keyline("status", "postgres://ann@db.example/keyline")
        .args(["--ca-file", "/nowhere/ca.pem"]));
    let error = &nowhere.only("error")["error"];
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("/nowhere/ca.pem can't be read"),
        "{error}"
    );
    assert_eq!(error["next"], "Check the path and its permissions.");
}
