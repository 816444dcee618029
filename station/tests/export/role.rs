//! Who may take data away.

use std::os::unix::fs::PermissionsExt;

use keyline_station::app::App;
use keyline_station::journal::Operator;
use keyline_station::operator::{Permission, Role, Token, new_operator_id};

use crate::factory::{export, factory};
use crate::station::Station;

/// Adds an operator and gives the file with his token.
fn add_operator(station: &Station, role: Role) -> String {
    let token = Token::generate();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let app = App::open(&station.home()).await.unwrap();
        let operator = Operator {
            id: new_operator_id(),
            name: format!("a {}", role.name()),
            role: role.name().to_owned(),
            token_sha256: token.digest().0,
            added_at_ms: 1,
        };
        app.journal().add_operator(operator).await.unwrap();
        app.close().await.unwrap();
    });
    let path = station.directory().join(role.name());
    std::fs::write(&path, token.expose()).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

#[test]
fn a_technician_takes_nothing_away() {
    let station = factory();
    for role in Role::ALL {
        let token = add_operator(&station, role);
        let out = format!("by-{}", role.name());
        let ran = export(&station, &out, &["--operator-token", &token]);
        let takes_nothing = matches!(role, Role::Technician | Role::KeyAdministrator);
        assert_eq!(role.may(Permission::Export), !takes_nothing);
        if role.may(Permission::Export) {
            ran.good();
        } else {
            let ran = ran.refused(4, "not-allowed");
            assert!(
                ran.error_message()
                    .ends_with(&format!("the role {} may not export data", role.name())),
                "{}",
                ran.error_message()
            );
            assert!(!station.directory().join(out).exists());
        }
        if role == Role::Auditor {
            for permission in Permission::ALL {
                assert_eq!(role.may(permission), permission == Permission::Export);
            }
        }
    }
    // Reaching the home is no authority.
    std::fs::remove_file(station.home().join("keys/operator.token")).unwrap();
    export(&station, "by-nobody", &[]).refused(4, "not-allowed");
}
