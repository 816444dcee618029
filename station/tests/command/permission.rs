//! Who acts is a named operator with a role; destructive acts need their permission as well.

use std::os::unix::fs::PermissionsExt;

use keyline_station::app::App;
use keyline_station::journal::Operator;
use keyline_station::operator::{Permission, Role, Token, new_operator_id};

use crate::station::Station;

/// Adds an operator and gives the file with his token.
fn add_operator(station: &Station, role: Role) -> String {
    let token = Token::generate();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let app = App::open(&station.home()).await.unwrap();
        let operator = Operator {
            id: new_operator_id(),
            name: role.name().to_owned(),
            role: role.name().to_owned(),
            token_sha256: token.digest().0,
            added_at_ms: 1,
        };
        app.journal().add_operator(operator).await.unwrap();
        app.close().await.unwrap();
    });
    write_token(station, role.name(), token.expose())
}

fn write_token(station: &Station, name: &str, content: &str) -> String {
    let path = station.directory().join(name);
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

#[test]
fn the_role_says_what_may_be_done() {
    let station = Station::with_order(5);
    let key = station.cloud_key();
    let add_product = [
        "product",
        "add",
        "--name",
        "p",
        "--platform",
        "nrf51822",
        "--cloud-key",
        &key,
        "--cloud-address",
        "c:1",
    ];
    let add_order = [
        "order",
        "add",
        "--name",
        "WO-2",
        "--product",
        "sensor",
        "--quantity",
        "1",
    ];
    let provision = ["provision", "--order", "WO-1", "--slot", "1"];
    // No root signed it: whoever may try is told so, whoever may not hears only that.
    std::fs::write(station.directory().join("bundle"), "nothing").unwrap();
    let install = ["authority", "install", "bundle"];
    for role in [
        Role::Auditor,
        Role::Technician,
        Role::Supervisor,
        Role::KeyAdministrator,
    ] {
        let token = add_operator(&station, role);
        for (permission, command) in [
            (Permission::ManageProducts, &add_product[..]),
            (Permission::ManageOrders, &add_order[..]),
            (Permission::Provision, &provision[..]),
            (Permission::ManageAuthority, &install[..]),
        ] {
            let arguments = [&["--operator-token", &token], command].concat();
            let ran = station.run(&arguments);
            if role.may(permission) {
                ran.good();
            } else {
                let ran = ran.refused(4, "not-allowed");
                let words = format!("the role {} may not {}", role.name(), permission.words());
                assert!(
                    ran.error_message().ends_with(&words),
                    "{}",
                    ran.error_message()
                );
            }
        }
        station
            .run(&["--operator-token", &token, "unit", "list"])
            .good();
    }
    assert!(Role::ALL.iter().all(|role| {
        Permission::ALL
            .iter()
            .all(|permission| Role::Administrator.may(*permission) || !role.may(*permission))
    }));
}

#[test]
fn a_token_that_is_missing_unknown_exposed_or_none_is_no_authority() {
    let station = Station::with_order(5);
    let provision =
        |token: &str| station.run(&["--operator-token", token, "provision", "--order", "WO-1"]);
    let refused = |token: &str, words: &str| {
        let ran = provision(token).refused(4, "not-allowed");
        assert!(
            ran.error_message().contains(words),
            "{}",
            ran.error_message()
        );
    };
    refused("/nonexistent", "can't be read");
    refused(
        &write_token(&station, "unknown", Token::generate().expose()),
        "no operator of this station has this token",
    );
    refused(
        &write_token(&station, "garbage", "letmein"),
        "expected an operator's token of 43 characters",
    );
    let exposed = write_token(&station, "exposed", Token::generate().expose());
    std::fs::set_permissions(&exposed, std::fs::Permissions::from_mode(0o644)).unwrap();
    refused(&exposed, "got mode 0644");
    std::fs::remove_file(station.home().join("keys/operator.token")).unwrap();
    station
        .run(&["provision", "--order", "WO-1"])
        .refused(4, "not-allowed");
    assert!(
        station
            .run(&["unit", "list"])
            .good()
            .all("unit-record")
            .is_empty(),
        "nothing was run"
    );
}

#[test]
fn the_journal_has_no_token_and_the_log_no_name() {
    let station = Station::bare();
    station.run(&["init", "--operator", "Ada.Lovelace"]).good();
    let token = std::fs::read_to_string(station.home().join("keys/operator.token")).unwrap();
    let journal = std::fs::read(station.home().join("journal.sqlite")).unwrap();
    let has = |text: &str| {
        journal
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    assert!(!has(token.trim()));
    assert!(has("operator-added"), "the search finds what is there");
}

#[test]
fn destructive_acts_need_their_permission_and_a_reason() {
    let station = Station::with_order(5);
    let ran = station
        .run(&[
            "provision",
            "--order",
            "WO-1",
            "--slot",
            "1",
            "--serial",
            "TH-1",
        ])
        .good();
    let unit = ran.all("unit").last().unwrap()["device_id"]
        .as_str()
        .unwrap()
        .to_owned();
    station
        .run(&["unit", "scrap", &unit, "--reason", "broken antenna"])
        .refused(4, "permit-missing");
    station
        .run(&[
            "unit",
            "rework",
            &unit,
            "--reason",
            "new board",
            "--permit",
            "scrap",
        ])
        .refused(4, "permit-missing");
    station
        .run(&["unit", "scrap", &unit, "--reason", "x", "--permit", "scrap"])
        .refused(2, "reason");
    station
        .run(&["unit", "release", &unit, "--reason", "it is fine"])
        .refused(2, "usage");
    let state = |ran: crate::station::Ran| {
        ran.all("unit-record")[0]["state"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        state(station.run(&["unit", "show", "TH-1"]).good()),
        "passed",
        "nothing happened yet"
    );
    station
        .run(&[
            "unit",
            "rework",
            &unit,
            "--reason",
            "new board",
            "--permit",
            "revoke",
        ])
        .good();
    let pins = station.run(&["pin", "show", &unit]).good();
    assert_eq!(pins.all("pin")[0]["state"], "revoked");
    station
        .run(&[
            "unit",
            "scrap",
            "TH-1",
            "--reason",
            "broken antenna",
            "--permit",
            "scrap",
        ])
        .good();
    assert_eq!(
        state(station.run(&["unit", "show", &unit]).good()),
        "scrapped"
    );
    station
        .run(&[
            "unit",
            "scrap",
            &unit,
            "--reason",
            "broken antenna",
            "--permit",
            "scrap",
        ])
        .refused(2, "refused");
}
