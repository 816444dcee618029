//! A serial names one living unit of its product at every station of a registry.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::pkcs8::EncodePublicKey as _;
use serde_json::Value;

use crate::station::{Ran, Station, keyline};

/// A second station that works with the first one's registry.
fn beside(first: &Station) -> Station {
    let second = Station::bare();
    second
        .run(&["init", "--name", "station-2", "--slot", "1=sim"])
        .good();
    second.order_sensors(5);
    let config = second.home().join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    let shared = format!("sqlite:{}", first.home().join("registry.sqlite").display());
    assert!(text.contains("sqlite:registry.sqlite"), "{text}");
    fs::write(&config, text.replace("sqlite:registry.sqlite", &shared)).unwrap();
    second
}

fn provision(station: &Station, serial: &str) -> Ran {
    let slot = ["provision", "--order", "WO-1", "--slot", "1"];
    station.run(&[&slot[..], &["--serial", serial]].concat())
}

/// The end of the only run.
fn ended(ran: &Ran) -> &Value {
    ran.all("unit").into_iter().next_back().unwrap()
}

fn device_id(ran: &Ran) -> String {
    ended(ran)["device_id"].as_str().unwrap().to_owned()
}

/// What a person reads on standard output.
fn shown(station: &Station, arguments: &[&str]) -> String {
    let home = station.home();
    let output = keyline().arg("--home").arg(home).args(arguments).output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

#[test]
fn a_serial_of_another_station_s_unit_is_refused_and_a_swapped_board_gets_it() {
    let first = Station::with_order(5);
    let old = device_id(&provision(&first, "TH-1").good());
    let second = beside(&first);
    let refused = provision(&second, "TH-1");
    assert_eq!(refused.code, 1, "{:?}", refused.lines);
    let error = &ended(&refused)["error"];
    assert_eq!(error["code"], "serial-in-use");
    let words = format!("serial \"TH-1\" of product sensor names unit {old} since 20");
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with(&words), "{message}");
    assert!(
        error["next"]
            .as_str()
            .unwrap()
            .starts_with("Two units have this label.")
    );

    // Both stations show whose it is: the second one has it from the registry alone.
    let uses = |station: &Station, name: &str| {
        let shown = station.run(&["unit", "show", name]).good();
        let serials = shown.all("serial");
        assert_eq!(serials.len(), 1, "{:?}", shown.lines);
        assert_eq!(
            (&serials[0]["product"], &serials[0]["serial"]),
            (&"sensor".into(), &"TH-1".into())
        );
        let uses = serials[0]["uses"].as_array().unwrap().clone();
        uses.iter()
            .map(|one| {
                (
                    one["device_id"].as_str().unwrap().to_owned(),
                    one["released_at_ms"].is_null(),
                )
            })
            .collect::<Vec<_>>()
    };
    for station in [&first, &second] {
        for name in ["TH-1", &old] {
            assert_eq!(uses(station, name), [(old.clone(), true)]);
        }
    }
    let pin = second.run(&["pin", "show", "TH-1"]).good();
    assert_eq!(pin.all("pin")[0]["device_id"], old);
    assert_eq!(pin.all("serial").len(), 1);

    let scrapped = [
        "unit",
        "scrap",
        &old,
        "--reason",
        "board swapped",
        "--permit",
        "scrap",
    ];
    first.run(&scrapped).good();
    let new = device_id(&provision(&second, "TH-1").good());
    let expected = [(old.clone(), false), (new.clone(), true)];
    for (station, name) in [
        (&first, "TH-1"),
        (&second, "TH-1"),
        (&first, &old),
        (&second, &new),
    ] {
        assert_eq!(uses(station, name), expected, "{name}");
    }
    let text = shown(&second, &["unit", "show", "TH-1"]);
    let history = text
        .split("serial TH-1 of product sensor, by the registry\n")
        .nth(1)
        .unwrap();
    let rows: Vec<_> = history.lines().map(str::trim_end).collect();
    assert!(rows[0].starts_with("device id"), "{text}");
    assert!(
        rows[1].starts_with(&old) && !rows[1].contains("now"),
        "{text}"
    );
    assert!(
        rows[2].starts_with(&new) && rows[2].contains("now"),
        "{text}"
    );
    second.run(&["unit", "show", "TH-2"]).refused(2, "unknown");
}

#[test]
fn without_its_registry_a_station_shows_what_it_knows_and_says_so() {
    let station = Station::with_order(5);
    let unit = device_id(&provision(&station, "TH-1").good());
    let registry = station.home().join("registry.sqlite");
    fs::rename(&registry, station.home().join("elsewhere.db")).unwrap();
    let shown = station.run(&["unit", "show", "TH-1"]).good();
    assert_eq!(shown.all("unit-record")[0]["device_id"], unit);
    assert!(shown.all("serial").is_empty());
    let warning = shown.all("warning")[0]["message"].as_str().unwrap();
    let words = "the registry is out of reach, so this is only what this station knows, without the history of serials: there is no registry at";
    assert!(warning.starts_with(words), "{warning}");
    assert!(!registry.exists(), "a question makes no registry");
    let shown = station.run(&["unit", "show", "TH-2"]).refused(2, "unknown");
    assert_eq!(shown.all("warning").len(), 1, "the registry might know it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_enters_serials_and_names_the_line_of_one_that_is_taken() {
    use sqlx::{ConnectOptions as _, Connection as _};
    let station = Station::with_order(5);
    provision(&station, "TH-1").good();
    let mut connection = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(station.home().join("registry.sqlite"))
        .connect()
        .await
        .unwrap();
    let bundle = "INSERT INTO authority_bundle VALUES ('product', 'sensor', 1, x'01', '', 0)";
    sqlx::raw_sql(bundle)
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let row = |n: u8, serial: &str| {
        let secret = p256::SecretKey::from_slice(&[n; 32]).unwrap();
        let key = secret.public_key().to_public_key_der().unwrap();
        format!(
            "4b4c5122{n:016x},{serial},{}\n",
            STANDARD.encode(key.as_bytes())
        )
    };
    let rows = [row(1, "TH-7"), row(2, "TH-1"), row(3, "TH-7")].concat();
    let file = station.directory().join("fleet.csv");
    fs::write(&file, format!("device_id,serial,public_key\n{rows}")).unwrap();
    let ran = station.run(&["registry", "import", "fleet.csv", "--product", "sensor"]);
    assert_eq!(ran.code, 1, "{:?}", ran.lines);
    let refused: Vec<_> = ran
        .all("refused-row")
        .iter()
        .map(|row| {
            (
                row["line"].as_u64().unwrap(),
                row["code"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    let expected = [
        (3, "serial-in-use".to_owned()),
        (4, "duplicate-serial".to_owned()),
    ];
    assert_eq!(refused, expected);
    let shown = station.run(&["unit", "show", "TH-7"]).good();
    assert_eq!(
        shown.all("serial")[0]["uses"][0]["device_id"],
        "4b4c51220000000000000001"
    );
    let refused = provision(&station, "TH-7");
    assert_eq!(ended(&refused)["error"]["code"], "serial-in-use");
    // What goes out comes in again, as it is.
    station
        .run(&["registry", "export", "--out", "out.csv"])
        .good();
    let text = fs::read_to_string(station.directory().join("out.csv")).unwrap();
    assert!(
        text.contains(",sensor,TH-7,") && text.contains(",sensor,TH-1,"),
        "{text}"
    );
    let again = station.run(&["registry", "import", "out.csv"]).good();
    assert_eq!(again.all("import")[0]["already"], 2);
}
