//! The configuration: what is refused, and where.

use keyline_station::home::{Config, KeyPoolConfig, LinkSelector, SlotConfig};
use keyline_station::record::StationId;

fn config() -> Config {
    let mut config = Config::new(StationId::generate(), "station-1");
    config.slots.push(SlotConfig {
        number: 1,
        link: "probe:1366:1015:000683012345".parse().unwrap(),
    });
    config.slots.push(SlotConfig {
        number: 2,
        link: LinkSelector::Sim,
    });
    config
}

/// The key of a new station, as it is written.
const FILE_KEY: &str = "kind = \"file\"\npath = \"keys/audit.pem\"";

/// A key in a token.
fn token_key(module: &str, token: &str) -> String {
    format!(
        "kind = \"token\"\nmodule = \"{module}\"\ntoken = \"{token}\"\nlabel = \"a\"\npin_file = \"pin\""
    )
}

#[test]
fn a_configuration_reads_back_what_was_written() {
    let text = toml::to_string(&config()).unwrap();
    assert_eq!(Config::parse(&text).unwrap().slots.len(), 2);
    let least = format!(
        "[station]\nid = \"{}\"\nname = \"x\"\n",
        StationId::generate()
    );
    assert_eq!(
        Config::parse(&least).unwrap().key_pool,
        KeyPoolConfig::default()
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of mistakes")]
fn what_can_not_work_is_refused_by_its_key_or_place() {
    let good = toml::to_string(&config()).unwrap();
    for (from, to, words) in [
        (
            "failures_max = 3",
            "failures_max = 0",
            "expected line.failures_max to be 1 to 10, got \"0\"",
        ),
        (
            "failures_max = 3",
            "failure_max = 3",
            "unknown field `failure_max`",
        ),
        (
            "failures_max = 3",
            "failures_max = \"3\"",
            "invalid type: string",
        ),
        (
            "p256 = 64",
            "p256 = 257",
            "expected key_pool.p256 to be 0 to 256",
        ),
        ("threads = 2", "threads = 0", "expected key_pool.threads"),
        ("days = 14", "days = 0", "expected log.days"),
        (
            "number = 2",
            "number = 1",
            "expected slot.number to be unique",
        ),
        (
            "number = 2",
            "number = 1000",
            "expected slot.number to be 1 to 999",
        ),
        (
            "link = \"sim\"",
            "link = \"probe:1366:1015:000683012345\"",
            "expected slot.link to be the link of one slot only",
        ),
        (
            "link = \"sim\"",
            "link = \"probe:1366:1015\"",
            "with two hexadecimal numbers of 1 to 4 digits and a serial number",
        ),
        (
            "link = \"sim\"",
            "link = \"serial:ttyUSB0\"",
            "an absolute path",
        ),
        (
            "link = \"sim\"",
            "link = \"usb\"",
            "expected \"probe:VID:PID:SERIAL\"",
        ),
        (
            "sqlite:registry.sqlite",
            "mysql://x:secret@y",
            "expected registry.url",
        ),
        (
            "sqlite:registry.sqlite",
            "postgres://keyline:secret@db/registry",
            "without a password",
        ),
        (
            "sqlite:registry.sqlite",
            "postgres://db/registry?password=secret",
            "without a password",
        ),
        (
            "name = \"station-1\"",
            "name = \"\"",
            "expected station.name",
        ),
        (
            "name = \"station-1\"",
            "name = \"a b\"",
            "expected station.name",
        ),
        (
            FILE_KEY,
            &token_key("softhsm.so", "line-7"),
            "expected audit.key.module to be the absolute path",
        ),
        (
            FILE_KEY,
            &token_key("/softhsm.so", ""),
            "expected audit.key.token to be a label of 1 to 32 bytes",
        ),
        (
            FILE_KEY,
            &token_key("/softhsm.so", &"x".repeat(33)),
            "expected audit.key.token to be a label of 1 to 32 bytes",
        ),
        (
            "path = \"journal.sqlite\"",
            "path = \"\"",
            "expected journal.path",
        ),
    ] {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from}");
        let error = Config::parse(&text).expect_err(to).to_string();
        assert!(error.contains(words), "{to}: {error}");
        assert!(
            !error.contains("secret"),
            "no password in a message: {error}"
        );
    }
    let error = Config::parse(&good.replacen("failures_max", "failure_max", 1))
        .unwrap_err()
        .to_string();
    let mut lines = good.lines();
    let line = lines.position(|line| line.starts_with("failures_max"));
    let place = format!("line {}, column 1", line.unwrap() + 1);
    assert!(error.contains(&place), "it says where: {error}");
}

/// The address of a witness stands in policies and in the log.
#[test]
fn a_witness_s_address_holds_no_name_no_password_and_no_query() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("witness.pem");
    let key = keyline_station::audit::CosignatureSigner::generate(&path, "w").unwrap();
    let with = |url: &str| {
        let text = toml::to_string(&config()).unwrap();
        let witness = format!(
            "\n[[audit.witness]]\nkey = \"{}\"\nurl = \"{url}\"\n",
            key.key()
        );
        Config::parse(&(text + &witness))
    };
    for (url, words) in [
        (
            "https://ada:s3cret@witness.example",
            "a user's name or password",
        ),
        (
            "https://s3cret@witness.example/w1",
            "a user's name or password",
        ),
        ("https://witness.example/?token=s3cret", "one with a query"),
    ] {
        let error = with(url).unwrap_err().to_string();
        assert!(error.contains("audit.witness.url"), "{error}");
        assert!(error.contains(words), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
    with("https://witness.example/@w1").unwrap();
}
