//! Products that can't work are refused when they are added.

use crate::station::{Station, openssl};

#[test]
fn a_product_that_can_not_work_is_refused_with_words() {
    let station = Station::new();
    let key = station.cloud_key();
    openssl(
        station.directory(),
        &[
            "genpkey",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
            "-out",
            "rsa.private",
        ],
    );
    openssl(
        station.directory(),
        &["pkey", "-in", "rsa.private", "-pubout", "-out", "rsa.pem"],
    );
    for (more, words) in [
        (
            &["--algorithm", "rsa2048", "--key-policy", "station"][..],
            "expected p256 on nrf51822, got rsa2048",
        ),
        (
            &["--platform", "nrf52840", "--algorithm", "rsa2048"],
            "expected p256 for the key policy on-device, got rsa2048",
        ),
        (
            &[
                "--platform",
                "nrf52832",
                "--algorithm",
                "rsa3072",
                "--key-policy",
                "existing",
            ],
            "this chip can't sign with it",
        ),
        (
            &["--authority-key", "rsa.pem"],
            "expected a P-256 authority key, got RSA-2048",
        ),
        (
            &["--authority-key", &key],
            "expected an authority key of its own",
        ),
        (&["--serial-format", "TH ####"], "expected a serial format"),
    ] {
        let ran = station
            .add_product("sensor", more)
            .refused(2, "infeasible-product");
        assert!(
            ran.error_message().contains(words),
            "{}",
            ran.error_message()
        );
    }
    for more in [
        &[
            "--platform",
            "nrf52840",
            "--algorithm",
            "rsa3072",
            "--key-policy",
            "existing",
        ][..],
        &[
            "--platform",
            "nrf52832",
            "--algorithm",
            "rsa2048",
            "--key-policy",
            "station",
        ],
        &["--lock-policy", "read-back", "--serial-format", "TH-######"],
    ] {
        let name = format!("good-{}", more.len() + usize::from(more[1] == "nrf52832"));
        station.add_product(&name, more).good();
    }
    assert_eq!(
        station
            .run(&["product", "list"])
            .good()
            .all("product")
            .len(),
        3
    );
}

#[test]
fn bad_arguments_and_files_are_refused_and_nothing_is_added() {
    let station = Station::new();
    station.cloud_key();
    let long = "x".repeat(193);
    std::fs::write(station.directory().join("long"), &long).unwrap();
    std::fs::write(station.directory().join("empty"), "").unwrap();
    for file in ["long", "empty", "not-there"] {
        station
            .add_product("sensor", &["--credentials", file])
            .refused(2, "credentials");
    }
    let run = |key: &str, address: &str| {
        station.run(&[
            "product",
            "add",
            "--name",
            "x",
            "--platform",
            "nrf51822",
            "--cloud-key",
            key,
            "--cloud-address",
            address,
        ])
    };
    let ran = run("cloud.private", "cloud:1").refused(2, "cloud-key");
    assert!(
        ran.error_message().contains("got a private key"),
        "{}",
        ran.error_message()
    );
    let ran = run("cloud.pem", "cloud:0").refused(2, "usage");
    assert!(
        ran.error_message().contains("expected a port"),
        "{}",
        ran.error_message()
    );
    station.add_product("../evil", &[]).refused(2, "usage");
    assert!(
        station
            .run(&["product", "list"])
            .good()
            .all("product")
            .is_empty()
    );
}

#[test]
fn credentials_are_named_but_never_kept() {
    let station = Station::new();
    std::fs::write(
        station.directory().join("wifi"),
        "ssid=bench;psk=correct-horse-battery",
    )
    .unwrap();
    station
        .add_product("sensor", &["--credentials", "wifi"])
        .good();
    let shown = station.run(&["product", "show", "sensor"]).good();
    assert_eq!(shown.all("product")[0]["has_credentials"], true);
    let found = std::process::Command::new("grep")
        .args(["-r", "correct-horse"])
        .arg(station.home())
        .output()
        .unwrap();
    assert!(found.stdout.is_empty(), "the home holds them: {found:?}");
}

#[test]
fn names_are_unique_while_they_live() {
    let station = Station::with_order(5);
    station.add_product("sensor", &[]).refused(2, "refused");
    station.add_order("WO-1", 5).refused(2, "refused");
    station
        .run(&[
            "order",
            "add",
            "--name",
            "WO-2",
            "--product",
            "nothing",
            "--quantity",
            "5",
        ])
        .refused(2, "unknown");
    station.run(&["product", "retire", "sensor"]).good();
    station.add_order("WO-2", 5).refused(2, "unknown");
    station.add_product("sensor", &[]).good();
    assert_eq!(
        station
            .run(&["product", "list"])
            .good()
            .all("product")
            .len(),
        1
    );
    assert_eq!(
        station
            .run(&["product", "list", "--all"])
            .good()
            .all("product")
            .len(),
        2
    );
}
