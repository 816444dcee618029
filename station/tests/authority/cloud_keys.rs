//! A product's cloud key changes by a signed bundle: in the log, in the registry, and in the list of units that have to follow.

use std::fs;

use keyline_station::registry::{NewStation, Registry, RegistryAddress, RegistryFiles, migrate};
use serde_json::Value;

use crate::postgres::Postgres;
use crate::production::Factory;
use crate::station::{Ran, Station, keyline};

/// What a command says to people: answers, and everything else.
fn people(factory: &Factory, arguments: &[&str]) -> (String, String) {
    let mut command = keyline();
    command.arg("--home").arg(factory.station.home());
    command.args(arguments);
    let output = command
        .current_dir(factory.station.directory())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

fn units(factory: &Factory, more: &[&str]) -> Vec<Value> {
    let mut arguments = vec!["cloud-key", "units", "--product", "sensor"];
    arguments.extend(more);
    let ran = factory.run(&arguments).good();
    ran.all("cloud-key-unit").into_iter().cloned().collect()
}

fn notices(ran: &Ran) -> String {
    let notices = ran.all("notice").into_iter();
    let words: Vec<_> = notices
        .map(|notice| notice["message"].as_str().unwrap())
        .collect();
    words.join(" ")
}

/// A factory that has built five units with the first cloud key, two of which are sealed, and then got a second one.
fn rotated() -> Factory {
    let factory = Factory::new();
    let first = factory.signed_product("1", &["--lock-policy", "open"]);
    factory.add(&first).good();
    let order = |name, quantity: u32| {
        factory.station.add_order(name, quantity).good();
        let count = quantity.to_string();
        factory
            .run(&["provision", "--order", name, "--count", &count])
            .good();
    };
    order("WO-1", 3);
    factory.add(&factory.signed_product("2", &[])).good();
    order("WO-2", 2);
    let other = factory.another_cloud_key("second");
    let second = factory.signed_product("3", &["--cloud-key", &other, "--cloud-key-version", "2"]);
    let added = factory.add(&second).good();
    assert!(
        notices(&added).contains(
"Its cloud key is version 2 now, in the place of version 1. Units that carry another one: `keyline --home "
        ),
        "{}",
        notices(&added)
    );
    order("WO-3", 1);
    factory
}

#[test]
fn versions_are_listed_with_the_units_that_carry_them() {
    let factory = rotated();
    let listed = factory.run(&["cloud-key", "list"]).good();
    let keys = listed.all("cloud-key");
    let short: Vec<_> = keys
        .iter()
        .map(|key| (&key["version"], &key["units"], &key["in_force"]))
        .collect();
    let (one, two, five) = (Value::from(1), Value::from(2), Value::from(5));
    let (yes, no) = (Value::from(true), Value::from(false));
    assert_eq!(short, [(&one, &five, &no), (&two, &one, &yes)]);
    for key in &keys {
        assert_eq!(key["product"], "sensor");
        assert_eq!(key["address"], "cloud.example.com:8883");
        assert!(key["station"].is_string() && key["bundle"].is_string());
    }
    assert_ne!(keys[0]["fingerprint"], keys[1]["fingerprint"]);
    let (table, _) = people(&factory, &["cloud-key", "list", "--product", "sensor"]);
    let heading: Vec<_> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(
        heading,
        [
            "product",
            "version",
            "fingerprint",
            "address",
            "since",
            "units",
            "state"
        ]
    );
    assert!(
        table.contains("in force") && table.contains("left"),
        "{table}"
    );
    // What nobody knows of is said, not left empty.
    let (table, words) = people(&factory, &["cloud-key", "list", "--product", "gateway"]);
    assert_eq!(table, "");
    assert!(
        words.contains("knows no cloud key of product gateway"),
        "{words}"
    );
    let unknown = ["cloud-key", "units", "--product", "gateway", "--outdated"];
    let refused = factory.run(&unknown).refused(2, "unknown");
    assert_eq!(
        refused.error_message(),
        "expected a cloud key that the registry knows, found no cloud key \"any version of product gateway\""
    );
    let next = refused.all("error")[0]["error"]["next"].to_string();
    assert!(next.contains(" cloud-key list"), "{next}");
    let unknown = [
        "cloud-key",
        "units",
        "--product",
        "sensor",
        "--version",
        "9",
    ];
    let refused = factory.run(&unknown).refused(2, "unknown");
    assert!(
        refused
            .error_message()
            .contains("version 9 of product sensor"),
        "{}",
        refused.error_message()
    );
}

#[test]
fn the_list_of_units_that_have_to_follow_says_what_each_needs() {
    let factory = rotated();
    let outdated = units(&factory, &["--outdated"]);
    assert_eq!(outdated.len(), 5);
    let ids: Vec<_> = outdated
        .iter()
        .map(|unit| unit["device_id"].as_str().unwrap())
        .collect();
    assert!(ids.is_sorted(), "{ids:?}");
    let needs = |what| {
        outdated
            .iter()
            .filter(|unit| unit["remedy"] == what)
            .count()
    };
    assert_eq!((needs("run"), needs("erase-and-rework")), (3, 2));
    for unit in &outdated {
        assert_eq!(
            (&unit["version"], &unit["product"]),
            (&1.into(), &"sensor".into())
        );
        assert!(unit["proven_at_ms"].is_number() && unit["station"].is_string());
    }
    let current = units(&factory, &["--version", "2"]);
    assert_eq!(
        (current.len(), &current[0]["remedy"]),
        (1, &"nothing".into())
    );
    assert_eq!(units(&factory, &[]).len(), 6);
    assert_eq!(
        units(&factory, &["--version", "1", "--limit", "2"]).len(),
        2
    );

    let arguments = ["cloud-key", "units", "--product", "sensor", "--outdated"];
    let (table, words) = people(&factory, &arguments);
    assert_eq!(table.lines().count(), 6, "{table}");
    for expected in [
        "3 units are to run again for version 2: `keyline --home ",
        "order add --product sensor --rework …`, then `keyline --home ",
        "2 units are sealed and can't take version 2 by a run alone: erase the whole chip over its probe, `keyline --home ",
        "unit rework UNIT --permit revoke`, then run it in a work order with --rework. It gets a new device key too.",
    ] {
        assert!(words.contains(expected), "{words}");
    }
    let one = [&arguments[..], &["--limit", "1"]].concat();
    let ran = factory.run(&one).good();
    assert!(
        notices(&ran).contains("There are more than 1 units: give --limit, or --out"),
        "{}",
        notices(&ran)
    );
}

#[test]
fn all_of_them_go_into_a_file_and_the_log_says_so() {
    let factory = rotated();
    let write = [
        "cloud-key",
        "units",
        "--product",
        "sensor",
        "--outdated",
        "--out",
        "outdated.csv",
    ];
    let written = factory.run(&write).good();
    assert!(
        notices(&written).contains("Wrote 5 units to "),
        "{}",
        notices(&written)
    );
    let file = fs::read_to_string(factory.station.directory().join("outdated.csv")).unwrap();
    let rows: Vec<Vec<_>> = file.lines().map(|row| row.split(',').collect()).collect();
    assert_eq!(
        rows[0],
        [
            "device_id",
            "serial",
            "product",
            "version",
            "cloud_key",
            "cloud_address",
            "proven_at",
            "station",
            "what_to_do"
        ]
    );
    assert_eq!(rows.len(), 6);
    assert!(
        rows[1..]
            .iter()
            .all(|row| row[3] == "1" && row[2] == "sensor")
    );
    // Never over a file, and never half of one.
    let refused = factory.run(&write);
    assert_eq!(
        refused.summary()["exit_code"],
        2,
        "{:?}",
        refused.all("error")
    );
    assert_eq!(
        fs::read_to_string(factory.station.directory().join("outdated.csv")).unwrap(),
        file
    );
    let both = [&write[..], &["--limit", "1"]].concat();
    factory.run(&both).refused(2, "usage");
    let log = exported_leaves(&factory);
    let handed_out: Vec<_> = log
        .iter()
        .filter(|body| body["kind"] == "exported")
        .collect();
    assert_eq!(handed_out.len(), 1);
    assert_eq!(
        handed_out[0]["filter"],
        "cloud-key units, product sensor, outdated"
    );
    // The change itself is a leaf, beside the bundle that says it.
    let changed: Vec<_> = log
        .iter()
        .filter(|body| body["kind"] == "cloud-key-changed")
        .collect();
    assert_eq!(changed.len(), 1);
    let leaf = changed[0];
    assert_eq!(
        (
            &leaf["product"],
            &leaf["version"],
            &leaf["previous_version"]
        ),
        (&"sensor".into(), &2.into(), &1.into())
    );
    assert_ne!(leaf["fingerprint"], leaf["previous"]);
    factory.run(&["audit", "verify", "--deep"]).good();
}

/// The bodies of the log.
fn exported_leaves(factory: &Factory) -> Vec<Value> {
    use sqlx::ConnectOptions as _;
    let path = factory.station.home().join("journal.sqlite");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bodies: Vec<Vec<u8>> = runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
        let mut connection = options.read_only(true).connect().await.unwrap();
        let question =
            sqlx::query_scalar("SELECT CAST(body AS BLOB) FROM entry ORDER BY leaf_index");
        question.fetch_all(&mut connection).await.unwrap()
    });
    let body = |bytes: &Vec<u8>| serde_json::from_slice(bytes).unwrap();
    bodies.iter().map(body).collect()
}

#[test]
fn a_cloud_key_that_was_left_does_not_return() {
    let factory = rotated();
    let first = factory.station.cloud_key();
    let back = factory.signed_product("4", &["--cloud-key", &first, "--cloud-key-version", "3"]);
    let refused = factory.add(&back).refused(4, "authority");
    assert!(
        refused
            .error_message()
            .contains("of sensor is its version 1 for ever, got it as version 3"),
        "{}",
        refused.error_message()
    );
    let next = refused.all("error")[0]["error"]["next"].as_str().unwrap();
    assert!(next.contains("with a new cloud key"), "{next}");
    let back = factory.signed_product("5", &["--cloud-key", &first]);
    let refused = factory.add(&back).refused(4, "authority");
    assert!(
        refused
            .error_message()
            .contains("expected version 2 of the cloud key of sensor or a later one, got 1"),
        "{}",
        refused.error_message()
    );
    let third = factory.another_cloud_key("third");
    let twice = factory.signed_product("6", &["--cloud-key", &third, "--cloud-key-version", "2"]);
    let refused = factory.add(&twice).refused(4, "authority");
    assert!(
        refused
            .error_message()
            .contains("expected a later version for another cloud key of sensor"),
        "{}",
        refused.error_message()
    );
    // Nothing of it was taken in.
    let listed = factory.run(&["cloud-key", "list"]).good();
    assert_eq!(listed.all("cloud-key").len(), 2);
    factory.order("WO-9").good();
}

#[test]
fn a_demonstration_s_cloud_keys_number_themselves() {
    let station = Station::new();
    station.add_product("sensor", &[]).good();
    let listed = station.run(&["cloud-key", "list"]).good();
    assert_eq!(listed.all("cloud-key")[0]["version"], 1);
    station.run(&["product", "retire", "sensor"]).good();
    station.add_product("sensor", &[]).good();
    let listed = station.run(&["cloud-key", "list"]).good();
    assert_eq!(
        listed.all("cloud-key").len(),
        1,
        "the same key is the same version"
    );
    fs::remove_file(station.directory().join("cloud.pem")).unwrap();
    station.run(&["product", "retire", "sensor"]).good();
    station.add_product("sensor", &[]).good();
    let listed = station.run(&["cloud-key", "list"]).good();
    let versions: Vec<_> = listed
        .all("cloud-key")
        .iter()
        .map(|key| key["version"].clone())
        .collect();
    assert_eq!(versions, [1, 2]);
}

#[test]
fn on_a_shared_registry_whoever_publishes_enters_the_key_and_a_station_sees_no_list() {
    let server = Postgres::start();
    let owner_url = format!("postgres://owner@{}/postgres", server.address());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let address = RegistryAddress::new(&owner_url, &RegistryFiles::default()).unwrap();
    runtime.block_on(migrate(address)).unwrap();
    let factory = Factory::new();
    let station = factory.station.home();
    let config = fs::read_to_string(station.join("config.toml")).unwrap();
    let id = config
        .lines()
        .find_map(|line| line.strip_prefix("id = \""))
        .unwrap();
    let login = runtime.block_on(async {
        let registry = Registry::connect(&owner_url).await.unwrap();
        let new = NewStation {
            id: id.trim_end_matches('"').parse().unwrap(),
            name: "line-7".to_owned(),
            certificate: None,
            operator: "op-1".to_owned(),
        };
        let login = registry.enrol_station(&new).await.unwrap();
        registry.close().await;
        login
    });
    // The desk is another home, with another role.
    let desk = factory.station.directory().join("desk");
    let desk = desk.to_str().unwrap();
    let at_desk = |arguments: &[&str]| {
        let mut all = vec!["--home", desk];
        all.extend(arguments);
        let mut command = keyline();
        command
            .arg("--json")
            .args(all)
            .current_dir(factory.station.directory());
        crate::station::ran(&command.output().unwrap())
    };
    at_desk(&[
        "init",
        "--name",
        "desk",
        "--registry",
        &owner_url,
        "--authority",
        "root.policy",
    ])
    .good();
    let station_url = format!("postgres://{login}@{}/postgres", server.address());
    let changed: String = config
        .lines()
        .map(|line| {
            if line.starts_with("url = ") {
                format!("url = \"{station_url}\"\n")
            } else {
                format!("{line}\n")
            }
        })
        .collect();
    fs::write(station.join("config.toml"), changed).unwrap();

    at_desk(&["authority", "publish", "root.policy"]).good();
    let bundle = factory.signed_product("1", &[]);
    let added = factory.add(&bundle).good();
    let warning = added.all("warning")[0];
    assert!(
        warning["message"].as_str().unwrap().contains(
            "the registry does not have the product bundle of sensor, version 1: which units carry its cloud key is not listed"
        ),
        "{warning}"
    );
    assert!(
        warning["next"]
            .as_str()
            .unwrap()
            .contains("from a home with his role: authority publish FILE"),
        "{warning}"
    );
    factory.order("WO-1").good();
    at_desk(&["authority", "publish", &bundle]).good();
    at_desk(&["authority", "publish", &bundle]).good();
    let built = factory
        .run(&["provision", "--order", "WO-1", "--count", "1"])
        .good();
    assert!(
        built.all("warning").is_empty(),
        "{:?}",
        built.all("warning")
    );

    let listed = at_desk(&["cloud-key", "list"]).good();
    let key = listed.all("cloud-key")[0].clone();
    assert_eq!((&key["version"], &key["units"]), (&1.into(), &1.into()));
    assert_eq!(key["station"], Value::Null, "a person published it");
    let listed = at_desk(&["cloud-key", "units", "--product", "sensor"]).good();
    assert_eq!(listed.all("cloud-key-unit")[0]["station_name"], "line-7");
    // The station's role sees its own rows, and no list of all.
    let refused = factory.run(&["cloud-key", "units", "--product", "sensor"]);
    assert_ne!(refused.summary()["exit_code"], 0);
    assert!(
        refused.error_message().contains("does not allow this role"),
        "{}",
        refused.error_message()
    );
}
