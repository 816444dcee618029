//! `audit verify --deep --policy`: whom to ask, and how many of them have to have seen the log, is the auditor's to say. The home that he
//! looks at may have been written by whoever has something to hide.

use std::path::PathBuf;

use serde_json::Value;

use crate::restored::copy;
use crate::station::Ran;
use crate::support::station_over;
use crate::witnessed::Witnessed;

const FROM_POLICY: &str = "line.policy";

/// A witnessed station that has built two units, and the policy that its auditor was handed.
fn judged() -> Witnessed {
    let home = Witnessed::new(station_over(&["sim", "sim"], 1_000), 100_000);
    provision(&home, "2");
    let policy = home.station.run(&["audit", "policy"]).good();
    let text = policy.all("document")[0]["text"].as_str().unwrap();
    std::fs::write(home.station.directory().join(FROM_POLICY), text).unwrap();
    home
}

fn provision(home: &Witnessed, count: &str) {
    let arguments = ["provision", "--order", "WO-1", "--count", count];
    home.station.run(&arguments).good();
}

fn backup_of(home: &Witnessed) -> PathBuf {
    let backup = home.station.directory().join("backup");
    copy(&home.station.home(), &backup);
    backup
}

/// The old copy takes the place of the home, and no word of witnesses is left in its configuration.
fn put_back_without_witnesses(home: &Witnessed, backup: PathBuf) {
    std::fs::remove_dir_all(home.station.home()).unwrap();
    std::fs::rename(backup, home.station.home()).unwrap();
    let path = home.station.home().join("config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let kept = text.split("[[audit.witness]]").next().unwrap();
    let kept = kept.replace("cosignatures_min = 1", "cosignatures_min = 0");
    std::fs::write(path, kept).unwrap();
}

fn deep(home: &Witnessed, more: &[&str]) -> Ran {
    let arguments = ["audit", "verify", "--deep", "--policy", FROM_POLICY];
    home.station.run(&[&arguments[..], more].concat())
}

/// The check of this name and state whose words contain these.
fn found<'r>(ran: &'r Ran, check: &str, state: &str, words: &str) -> &'r Value {
    let mut checks = ran.all("check").into_iter();
    let found = checks.find(|line| {
        line["check"] == check
            && line["state"] == state
            && line["found"].as_str().unwrap().contains(words)
    });
    found.unwrap_or_else(|| panic!("no {check} that is {state}: {words}: {:#?}", ran.lines))
}

fn assert_holds(ran: &Ran, holds: bool) {
    assert_eq!(ran.code, if holds { 0 } else { 5 }, "{:#?}", ran.lines);
    assert_eq!(ran.all("verdict")[0]["holds"], holds, "{:#?}", ran.lines);
}

#[test]
fn a_sound_home_holds_and_is_told_how_much_of_it_was_witnessed() {
    let home = judged();
    let sound = deep(&home, &[]);
    assert_holds(&sound, true);
    found(&sound, "quorum", "ok", "leaves are cosigned");
    let offline = deep(&home, &["--offline"]);
    assert_holds(&offline, true);
    found(&offline, "quorum", "ok", "leaves are cosigned");
}

#[test]
fn an_old_copy_whose_configuration_names_no_witness_is_found_by_those_of_the_policy() {
    let mut home = judged();
    let backup = backup_of(&home);
    provision(&home, "3");
    put_back_without_witnesses(&home, backup);
    let rolled_back = deep(&home, &[]);
    assert_holds(&rolled_back, false);
    found(&rolled_back, "log-rolled-back", "fail", "are gone");

    // And where the witness can't be asked, nobody says that all is well.
    home.stop_witness();
    let unasked = deep(&home, &[]);
    assert_holds(&unasked, false);
    found(
        &unasked,
        "quorum",
        "fail",
        "heard nothing of witness.example/w1",
    );
    found(&unasked, "outside", "warn", "no witness was heard");
}

#[test]
fn a_home_without_the_cosignatures_that_the_policy_asks_for_does_not_hold() {
    let home = judged();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let path = home.station.home().join("journal.sqlite");
    runtime.block_on(async {
        use sqlx::{ConnectOptions as _, Connection as _};
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
        let mut connection = options.connect().await.unwrap();
        let delete = sqlx::query("DELETE FROM cosignature");
        delete.execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
    for more in [&[][..], &["--offline"]] {
        let unwitnessed = deep(&home, more);
        assert_holds(&unwitnessed, false);
        found(&unwitnessed, "quorum", "fail", "the home has none");
    }
}

#[test]
fn a_policy_that_says_nowhere_to_ask_is_told_so_and_a_quorum_of_nobody_is_warned_of() {
    let home = judged();
    let path = home.station.directory().join(FROM_POLICY);
    let text = std::fs::read_to_string(&path).unwrap();
    let url = format!(" http://{}", home.witness().address);
    std::fs::write(&path, text.replace(&url, "")).unwrap();
    let nowhere = deep(&home, &[]);
    assert_holds(&nowhere, false);
    found(&nowhere, "outside", "warn", "the policy has no URL of it");
    found(&nowhere, "quorum", "fail", "heard nothing of");

    let log = text.lines().next().unwrap();
    std::fs::write(&path, format!("{log}\nquorum none\n")).unwrap();
    let nobody = deep(&home, &[]);
    assert_holds(&nobody, true);
    found(&nobody, "quorum", "warn", "asks for no witness");
}
