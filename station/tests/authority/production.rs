//! A home whose root is a factory's: only what its keys signed gets in.

use serde_json::Value;

use crate::demonstration::{bundles, check};
use crate::station::{Ran, Station, openssl};

/// A home under a root of two keys that both must sign; all files lie beside it.
pub(crate) struct Factory {
    pub(crate) station: Station,
}

impl Factory {
    pub(crate) fn new() -> Self {
        let station = Station::bare();
        let factory = Self { station };
        for name in ["root-1", "root-2"] {
            factory.key(name);
        }
        factory.policy("root.policy", &["root-1", "root-2"], &[]);
        let init = [
            "init",
            "--name",
            "line-7",
            "--slot",
            "1=sim",
            "--authority",
            "root.policy",
        ];
        factory.run(&init).good();
        factory
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.station.run(arguments)
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.station.directory().join(file)).unwrap()
    }

    fn key(&self, name: &str) {
        self.run(&[
            "authority",
            "key",
            "--name",
            name,
            "--out",
            &format!("{name}.pem"),
        ])
        .good();
    }

    fn policy(&self, out: &str, names: &[&str], more: &[&str]) {
        let keys = names
            .iter()
            .map(|name| self.read(&format!("{name}.pem.pub")));
        let keys: Vec<_> = keys.collect();
        let mut arguments = vec!["authority", "policy", "--name", "acme", "--threshold", "2"];
        for key in &keys {
            arguments.extend(["--key", key]);
        }
        arguments.extend(["--out", out]);
        arguments.extend(more);
        self.run(&arguments).good();
    }

    fn product(&self, version: &str, more: &[&str]) -> String {
        let out = format!("sensor-{version}.bundle");
        let key = self.station.cloud_key();
        let mut arguments = vec![
            "authority",
            "bundle",
            "product",
            "--name",
            "sensor",
            "--cloud-address",
            "cloud.example.com:8883",
            "--platform",
            "nrf51822",
            "--version",
            version,
            "--out",
            &out,
        ];
        if !more.contains(&"--cloud-key") {
            arguments.extend(["--cloud-key", &key]);
        }
        if !more.contains(&"--policy") {
            arguments.extend(["--policy", "root.policy"]);
        }
        if !more.contains(&"--expires") {
            arguments.extend(["--expires", "2100-01-01"]);
        }
        arguments.extend(more);
        self.run(&arguments).good();
        out
    }

    fn sign(&self, file: &str, names: &[&str]) {
        for name in names {
            self.run(&["authority", "sign", file, "--key", &format!("{name}.pem")])
                .good();
        }
    }

    /// Another cloud key, as a file.
    pub(crate) fn another_cloud_key(&self, name: &str) -> String {
        let (private, public) = (format!("{name}.private"), format!("{name}.spki"));
        for arguments in [
            &[
                "genpkey",
                "-algorithm",
                "EC",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-out",
                &private,
            ][..],
            &["pkey", "-in", &private, "-pubout", "-out", &public],
        ] {
            openssl(self.station.directory(), arguments);
        }
        public
    }

    /// A product's bundle that both signed.
    pub(crate) fn signed_product(&self, version: &str, more: &[&str]) -> String {
        let file = self.product(version, more);
        self.sign(&file, &["root-1", "root-2"]);
        file
    }

    pub(crate) fn add(&self, file: &str) -> Ran {
        self.run(&["product", "add", "--bundle", file])
    }

    /// A roster of two, ROLE=VKEY, that nobody signed yet.
    fn roster(&self, first: &str, second: &str) -> Ran {
        self.run(&[
            "authority",
            "bundle",
            "roster",
            "--subject",
            "acme",
            "--member",
            first,
            "--member",
            second,
            "--version",
            "1",
            "--expires",
            "2100-01-01",
            "--policy",
            "root.policy",
            "--out",
            "acme.bundle",
        ])
    }

    pub(crate) fn order(&self, name: &str) -> Ran {
        self.station.add_order(name, 1)
    }

    fn live_products(&self) -> Vec<Value> {
        self.run(&["product", "list"])
            .good()
            .all("product")
            .into_iter()
            .cloned()
            .collect()
    }
}

#[test]
fn only_a_product_that_enough_keys_signed_gets_in() {
    let factory = Factory::new();
    let ran = factory
        .station
        .add_product("sensor", &[])
        .refused(4, "bundle-wanted");
    assert!(
        ran.error_message().contains("--bundle FILE"),
        "{}",
        ran.error_message()
    );
    let next = ran.all("error")[0]["error"]["next"].as_str().unwrap();
    assert!(next.contains("docs/CEREMONY.md"), "{next}");
    factory
        .run(&["demo", "--units", "1", "--unit", "sim"])
        .refused(4, "bundle-wanted");

    let file = factory.product("1", &[]);
    factory.add(&file).refused(4, "authority");
    factory.sign(&file, &["root-1"]);
    let ran = factory.add(&file).refused(4, "authority");
    assert!(
        ran.error_message()
            .ends_with("expected the signatures of 2 of the keys of acme, got 1: root-1"),
        "{}",
        ran.error_message()
    );
    assert!(factory.live_products().is_empty() && bundles(&factory.station).is_empty());
    factory.sign(&file, &["root-2"]);
    factory.add(&file).good();
    factory.add(&file).good();
    assert_eq!(bundles(&factory.station).len(), 1, "once");
    factory.order("WO-1").good();
    factory
        .run(&["provision", "--order", "WO-1", "--count", "1"])
        .good();
    factory.run(&["audit", "verify", "--deep"]).good();
    assert_eq!(check(&factory.station, "authority").unwrap()["state"], "ok");
}

#[test]
fn a_later_version_replaces_the_product_and_an_earlier_one_does_not_come_back() {
    let factory = Factory::new();
    std::fs::write(factory.station.directory().join("wifi"), "ssid=bench").unwrap();
    let first = factory.signed_product("1", &[]);
    let other = factory.another_cloud_key("second");
    let second_key = ["--cloud-key", &other, "--cloud-key-version", "2"];
    let second = factory.signed_product("2", &second_key);
    factory
        .run(&[
            "product",
            "add",
            "--bundle",
            &first,
            "--credentials",
            "wifi",
        ])
        .good();
    factory.order("WO-1").good();
    factory.add(&second).good();
    let live = factory.live_products();
    assert_eq!(live.len(), 1);
    assert_eq!(live[0]["has_credentials"], true, "the station's own stays");
    let ran = factory.add(&first).refused(4, "authority");
    assert!(
        ran.error_message().contains("later than 2, got 1"),
        "{}",
        ran.error_message()
    );
    // The open order keeps its product.
    factory
        .run(&["provision", "--order", "WO-1", "--count", "1"])
        .good();

    std::fs::remove_file(factory.station.directory().join(&second)).unwrap();
    let twin = factory.signed_product("2", &["--cloud-key-version", "3"]);
    let ran = factory.add(&twin).refused(4, "authority");
    assert!(
        ran.error_message().contains("two bundles of one version"),
        "{}",
        ran.error_message()
    );
    factory.run(&["product", "retire", "sensor"]).good();
    factory.order("WO-2").refused(2, "unknown");
    let third = factory.signed_product("3", &second_key);
    factory.add(&third).good();
    factory.run(&["product", "retire", "sensor"]).good();
    let ran = factory.add(&third).refused(2, "usage");
    assert!(
        ran.error_message().contains("later than 3"),
        "{}",
        ran.error_message()
    );
    factory.run(&["audit", "verify", "--deep"]).good();
}

#[test]
fn a_product_names_its_agents_and_ends() {
    let factory = Factory::new();
    let other = "ab".repeat(32);
    let file = factory.signed_product("1", &["--agent-digest", &other]);
    factory.add(&file).good();
    let ran = factory.order("WO-1").refused(4, "agent-not-allowed");
    assert!(
        ran.error_message().contains(&other),
        "{}",
        ran.error_message()
    );
    let words = ran.error_message();
    let ours = words.rsplit(' ').next().unwrap().to_owned();
    let file = factory.signed_product("2", &["--agent-digest", &other, "--agent-digest", &ours]);
    factory.add(&file).good();
    factory.order("WO-1").good();

    let soon = (time_now() + 3_600).to_string();
    let soon = date(&soon);
    let file = factory.signed_product("3", &["--expires", &soon]);
    factory.add(&file).good();
    let warned = check(&factory.station, "authority-bundles").unwrap();
    assert_eq!(warned["state"], "warn", "{warned}");
    assert!(
        warned["found"]
            .as_str()
            .unwrap()
            .contains("sensor, version 3 ends at")
    );
    let past = date(&(time_now() + 2).to_string());
    let file = factory.signed_product("4", &["--expires", &past]);
    std::thread::sleep(std::time::Duration::from_secs(3));
    let ran = factory.add(&file).refused(4, "authority");
    assert!(
        ran.error_message().contains("expired at"),
        "{}",
        ran.error_message()
    );
}

fn time_now() -> u64 {
    keyline_station::clock::wall_ms() / 1_000
}

fn date(seconds: &str) -> String {
    keyline_station::clock::text(seconds.parse::<u64>().unwrap() * 1_000)
}

#[test]
fn another_root_is_pinned_only_where_the_old_one_s_keys_say_so() {
    let factory = Factory::new();
    factory.add(&factory.signed_product("1", &[])).good();
    factory.order("WO-1").good();
    factory.key("root-3");
    factory.policy(
        "next.policy",
        &["root-2", "root-3"],
        &["--previous", "root.policy"],
    );
    let replace = || factory.run(&["authority", "replace-root", "next.policy"]);
    replace().refused(4, "authority");
    factory.sign("next.policy", &["root-2", "root-3"]);
    replace().refused(4, "authority");
    let verify = [
        "authority",
        "verify",
        "next.policy",
        "--policy",
        "root.policy",
    ];
    factory.run(&verify).refused(4, "authority");
    factory.sign("next.policy", &["root-1"]);
    factory.run(&verify).good();
    replace().good();
    replace().refused(4, "authority");
    let config = std::fs::read_to_string(factory.station.home().join("config.toml")).unwrap();
    let shown = factory.run(&["authority", "show", "next.policy"]).good();
    assert!(config.contains(shown.all("authority")[0]["digest"].as_str().unwrap()));

    // What the old root signed does not count any more; open orders go on.
    factory.order("WO-2").refused(4, "authority");
    factory
        .run(&["provision", "--order", "WO-1", "--count", "1"])
        .good();
    factory
        .add(&factory.signed_product("2", &[]))
        .refused(4, "authority");
    let file = factory.product("3", &["--policy", "next.policy"]);
    factory.sign(&file, &["root-2", "root-3"]);
    factory.add(&file).good();
    factory.order("WO-2").good();
    factory.run(&["audit", "verify", "--deep"]).good();
}

#[test]
fn a_station_that_takes_another_s_place_keeps_the_root_and_what_it_signed() {
    let factory = Factory::new();
    factory.add(&factory.signed_product("1", &[])).good();
    let new = factory
        .station
        .directory()
        .join("new")
        .display()
        .to_string();
    factory
        .run(&[
            "station",
            "replace",
            "--to",
            &new,
            "--name",
            "line-7b",
            "--reason",
            "disk failed",
            "--permit",
            "replace-station",
        ])
        .good();
    let on_new = |arguments: &[&str]| {
        let mut command = crate::station::keyline();
        command.args(["--json", "--home", &new]).args(arguments);
        command.current_dir(factory.station.directory());
        crate::station::ran(&command.output().unwrap())
    };
    on_new(&[
        "order",
        "add",
        "--name",
        "WO-1",
        "--product",
        "sensor",
        "--quantity",
        "1",
    ])
    .good();
    on_new(&["product", "add", "--bundle", "sensor-1.bundle"]).good();
    on_new(&["audit", "verify", "--deep"]).good();
}

#[test]
fn a_changed_row_of_a_bundle_is_found() {
    use sqlx::ConnectOptions as _;
    let factory = Factory::new();
    factory.add(&factory.signed_product("1", &[])).good();
    let path = factory.station.home().join("journal.sqlite");
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
        let mut connection = options.connect().await.unwrap();
        sqlx::query("UPDATE authority_bundle SET version = 0")
            .execute(&mut connection)
            .await
            .unwrap();
    });
    let ran = factory.run(&["audit", "verify", "--deep"]);
    assert_eq!(ran.code, 5);
    let words = format!("{:?}", ran.lines);
    assert!(
        words.contains("authority_bundle") && words.contains("column version"),
        "{words}"
    );
}

#[test]
fn rosters_are_installed_and_files_are_told_apart() {
    let factory = Factory::new();
    for name in ["first.pem", "second.pem"] {
        factory.run(&["authority", "key", "--out", name]).good();
    }
    let member = |role: &str, file: &str| format!("{role}={}", factory.read(file).trim());
    let (first, second) = (
        member("key-administrator", "first.pem.pub"),
        member("administrator", "second.pem.pub"),
    );
    factory.roster(&first, &second).good();
    factory.roster(&first, &second).refused(2, "output");
    factory
        .run(&["authority", "install", "acme.bundle"])
        .refused(4, "authority");
    factory.sign("acme.bundle", &["root-1", "root-2"]);
    let again = factory
        .run(&["authority", "sign", "acme.bundle", "--key", "root-2.pem"])
        .good();
    assert_eq!(
        again.all("authority")[0]["signed_by"],
        serde_json::json!(["root-1", "root-2"])
    );
    factory.run(&["authority", "install", "acme.bundle"]).good();
    factory.run(&["authority", "install", "acme.bundle"]).good();
    assert_eq!(
        bundles(&factory.station),
        [("roster".to_owned(), "acme".to_owned(), 1)]
    );
    factory.add("acme.bundle").refused(2, "authority");
    let product = factory.signed_product("1", &[]);
    factory
        .run(&["authority", "install", &product])
        .refused(2, "usage");
    factory
        .run(&["authority", "install", "root.policy"])
        .refused(2, "authority");
    factory
        .run(&["authority", "show", "cloud.pem"])
        .refused(2, "authority");
    factory
        .run(&["authority", "show", "nothing"])
        .refused(2, "input");
    factory
        .run(&["authority", "merge", "acme.bundle", &product, "--out", "x"])
        .refused(2, "authority");
    factory
        .run(&["product", "add", "--bundle", &product, "--name", "x"])
        .refused(2, "usage");
    factory.run(&["product", "add"]).refused(2, "usage");
    factory.run(&["audit", "verify", "--deep"]).good();
}

/// A home with a roster of two key administrators, and one unit that passed: its device id.
fn with_a_unit() -> (Factory, String) {
    let factory = Factory::new();
    for name in ["ann", "ben"] {
        let file = format!("{name}.pem");
        factory.run(&["authority", "key", "--out", &file]).good();
    }
    let member = |name: &str| {
        format!(
            "key-administrator={}",
            factory.read(&format!("{name}.pem.pub")).trim()
        )
    };
    let (ann, ben) = (member("ann"), member("ben"));
    factory.roster(&ann, &ben).good();
    factory.sign("acme.bundle", &["root-1", "root-2"]);
    factory.run(&["authority", "install", "acme.bundle"]).good();
    let product = factory.signed_product("1", &[]);
    factory.add(&product).good();
    factory.order("WO-1").good();
    let ran = factory.run(&["provision", "--order", "WO-1"]).good();
    let units = ran.all("unit");
    let unit = units.last().unwrap()["device_id"]
        .as_str()
        .unwrap()
        .to_owned();
    (factory, unit)
}

fn pin_state(factory: &Factory, unit: &str) -> Vec<String> {
    let shown = factory.run(&["pin", "show", unit]).good();
    let pins = shown.all("pin");
    let state = |pin: &&Value| pin["state"].as_str().unwrap().to_owned();
    pins.iter().map(state).collect()
}

#[test]
fn two_people_revoke_a_pin_and_one_can_not() {
    let (factory, unit) = with_a_unit();
    factory
        .run(&[
            "pin",
            "revoke",
            &unit,
            "--reason",
            "stolen",
            "--out",
            "revoke.act",
        ])
        .good();
    let carry = [
        "pin",
        "revoke",
        &unit,
        "--act",
        "revoke.act",
        "--roster",
        "acme",
    ];
    factory.run(&carry).refused(4, "authority");
    factory.sign("revoke.act", &["ann"]);
    factory.run(&carry).refused(4, "authority");
    assert_eq!(pin_state(&factory, &unit), ["active"]);
    factory.sign("revoke.act", &["ben"]);
    factory
        .run(&[
            "unit",
            "return",
            &unit,
            "--act",
            "revoke.act",
            "--roster",
            "acme",
        ])
        .refused(2, "usage");
    factory.run(&carry).good();
    assert_eq!(pin_state(&factory, &unit), ["revoked"]);
    // Again it is about a key that the unit does not have any more: nothing is written.
    factory.run(&carry).refused(2, "usage");
    let deep = factory.run(&["audit", "verify", "--deep"]);
    assert_eq!(deep.code, 0, "{:?}", deep.lines);
}

#[test]
fn two_people_and_the_holder_of_a_new_key_rotate_a_pin() {
    let (factory, unit) = with_a_unit();
    let openssl = |arguments: &[&str]| {
        let done = std::process::Command::new("openssl")
            .args(arguments)
            .current_dir(factory.station.directory())
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
    };
    openssl(&[
        "genpkey",
        "-algorithm",
        "EC",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-out",
        "new.private",
    ]);
    openssl(&["pkey", "-in", "new.private", "-pubout", "-out", "new.pem"]);
    factory
        .run(&[
            "pin",
            "rotate",
            &unit,
            "--new-key",
            "new.pem",
            "--reason",
            "yearly",
            "--out",
            "rotate.act",
        ])
        .good();
    openssl(&[
        "dgst",
        "-sha256",
        "-sign",
        "new.private",
        "-out",
        "possession.sig",
        "rotate.act",
    ]);
    factory.sign("rotate.act", &["ann", "ben"]);
    let carry = [
        "pin",
        "rotate",
        &unit,
        "--new-key",
        "new.pem",
        "--act",
        "rotate.act",
        "--roster",
        "acme",
    ];
    factory.run(&carry).refused(4, "authority");
    factory
        .run(&[&carry[..], &["--possession", "possession.sig"]].concat())
        .good();
    assert_eq!(pin_state(&factory, &unit), ["revoked", "active"]);
    let deep = factory.run(&["audit", "verify", "--deep"]);
    assert_eq!(deep.code, 0, "{:?}", deep.lines);
}

#[test]
fn a_registry_obeys_one_root_and_stations_of_another_are_refused() {
    let (factory, _) = with_a_unit();
    factory.run(&["authority", "publish", "root.policy"]).good();
    factory.run(&["authority", "publish", "acme.bundle"]).good();
    factory.run(&["authority", "fetch"]).good();
    let registry = format!(
        "sqlite:{}",
        factory.station.home().join("registry.sqlite").display()
    );
    let other = Station::bare();
    other
        .run(&[
            "init",
            "--name",
            "line-8",
            "--slot",
            "1=sim",
            "--registry",
            &registry,
        ])
        .good();
    other.run(&["station", "list"]).refused(4, "other-root");
    let id = "00112233445566778899aabbccddeeff";
    factory
        .run(&["station", "enroll", id, "--name", "line-9"])
        .refused(2, "usage");
}
