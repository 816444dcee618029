//! The log's key rolls over in front of auditors who hold an old policy, the new one, or both.

use crate::line::{built, policy_text, prove};
use crate::station::{Ran, Station};
use crate::witnessed::witnessed_by;

/// Makes a second key file and names it in the configuration.
pub(crate) fn configure_a_second_key(station: &Station) {
    station
        .run(&["audit", "key", "make", "--file", "keys/audit2.pem"])
        .good();
    let path = station.home().join("config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let block = "[[audit.key]]\nkind = \"file\"\npath = \"keys/audit2.pem\"\n\n[operator]";
    std::fs::write(path, text.replacen("[operator]", block, 1)).unwrap();
}

pub(crate) fn add(station: &Station) -> Ran {
    station.run(&["audit", "key", "add", "keys/audit2.pem"])
}

pub(crate) fn retire(station: &Station) -> Ran {
    let words = ["audit", "key", "retire", "keys/audit.pem"];
    let rest = ["--reason", "roll over", "--permit", "retire-key"];
    station.run(&[&words[..], &rest].concat())
}

/// A station that rolled its key over, the policies from before and after, and a unit from before.
struct RolledOver {
    station: Station,
    unit: String,
    old: String,
    new: String,
    /// Made before the roll-over.
    dossier: String,
}

fn rolled_over() -> RolledOver {
    let (station, ids) = built(2);
    let save = |name: &str| {
        let path = station.directory().join(name);
        std::fs::write(&path, policy_text(&station)).unwrap();
        path.display().to_string()
    };
    let old = save("old.policy");
    let dossier = prove(&station, &ids[0], "old.json").display().to_string();
    configure_a_second_key(&station);
    add(&station).good();
    let count = ["provision", "--order", "WO-1", "--count", "1"];
    station.run(&count).good();
    retire(&station).good();
    station.run(&count).good();
    let new = save("new.policy");
    RolledOver {
        unit: ids[0].clone(),
        station,
        old,
        new,
        dossier,
    }
}

#[test]
fn the_whole_station_holds_under_the_old_policy_the_new_one_both_and_none() {
    let RolledOver {
        station, old, new, ..
    } = rolled_over();
    let both = station.directory().join("both.policy");
    let lines = std::fs::read_to_string(&new).unwrap();
    let old_log = std::fs::read_to_string(&old).unwrap();
    let old_log = old_log
        .lines()
        .find(|line| line.starts_with("log "))
        .unwrap();
    std::fs::write(&both, format!("{old_log}\n{lines}")).unwrap();
    let both = both.display().to_string();
    station.run(&["audit", "verify", "--deep"]).good();
    for policy in [&old, &new, &both] {
        let deep = station.run(&["audit", "verify", "--deep", "--policy", policy]);
        assert_eq!(deep.code, 0, "{policy}: {:?}", deep.lines);
    }
    // Whoever made a log of this name with a key of his own is not believed for naming it.
    let stranger = Station::with_order(1);
    let stranger_policy = station.directory().join("stranger.policy");
    std::fs::write(&stranger_policy, policy_text(&stranger)).unwrap();
    let path = stranger_policy.display().to_string();
    let deep = station.run(&["audit", "verify", "--deep", "--policy", &path]);
    assert_eq!(deep.code, 5, "{:?}", deep.lines);
}

#[test]
fn files_from_after_a_roll_over_hold_under_the_old_policy_and_the_new_one_says_who_was_retired() {
    let RolledOver {
        station,
        unit,
        old,
        new,
        dossier,
    } = rolled_over();
    let out = station.directory().join("export").display().to_string();
    station
        .run(&[
            "audit", "export", "--order", "WO-1", "--format", "csv", "--out", &out,
        ])
        .good();
    let later = prove(&station, &unit, "later.json").display().to_string();
    for policy in [&old, &new] {
        for file in [&out, &later] {
            let verified = station.run(&["audit", "verify", file, "--policy", policy]);
            assert_eq!(verified.code, 0, "{file} {policy}: {:?}", verified.lines);
        }
    }
    // A file from before is under no key of the new policy; the old one still checks it.
    let before = |policy: &str| station.run(&["audit", "verify", &dossier, "--policy", policy]);
    before(&old).good();
    assert_eq!(before(&new).code, 5);
    let text = std::fs::read_to_string(&new).unwrap();
    let retired = text
        .lines()
        .find(|line| line.starts_with("# Retired"))
        .unwrap();
    let old_text = std::fs::read_to_string(&old).unwrap();
    let old_key = old_text.split_whitespace().nth(1).unwrap();
    assert!(retired.contains(old_key), "{text}");

    // Nobody is told to guard a key that signs nothing more.
    let doctor = station.run(&["doctor"]);
    let told = format!("{:?}", doctor.all("check"));
    assert!(told.contains("and destroy the key"), "{told}");

    // The hand-over proves itself: one that somebody changed is found.
    let hand_over = station.directory().join("export/log-keys.json");
    let text = std::fs::read_to_string(&hand_over).unwrap();
    std::fs::write(&hand_over, text.replacen("\"index\": ", "\"index\": 1", 1)).unwrap();
    let verified = station.run(&["audit", "verify", &out, "--policy", &old]);
    assert_eq!(verified.code, 5);
    let found = format!("{:?}", verified.lines);
    assert!(found.contains("log-keys.json does not hold"), "{found}");
}

/// A witness that trusts the old key only cosigns as long as both sign, and nothing after.
#[test]
fn a_key_is_not_retired_before_the_witnesses_trust_its_successor() {
    let (station, ids) = built(1);
    let _witness = witnessed_by(&station, "w.example");
    let count = ["provision", "--order", "WO-1", "--count", "1"];
    station.run(&count).good();
    configure_a_second_key(&station);
    let added = add(&station).good();
    let told = format!("{:?}", added.all("notice"));
    assert!(told.contains("keyline witness trust --store DIR"), "{told}");
    let refused = retire(&station).refused(3, "not-ready");
    let message = refused.error_message();
    assert!(message.contains("to trust this log's key"), "{message}");

    // In an emergency it goes all the same, and whoever looks is told what is missing.
    let words = [
        "audit",
        "key",
        "retire",
        "keys/audit.pem",
        "--reason",
        "stolen",
    ];
    let permits = [
        "--permit",
        "retire-key",
        "--permit",
        "retire-key-unwitnessed",
    ];
    station.run(&[&words[..], &permits].concat()).good();
    station.run(&count).good();
    let doctor = station.run(&["doctor"]);
    assert_eq!(doctor.code, 3, "{:?}", doctor.lines);
    let checks = doctor.all("check").into_iter();
    let told = checks.filter(|check| check["check"] == "witness-1");
    let told = format!("{:?}", told.collect::<Vec<_>>());
    assert!(told.contains("to trust this log's key"), "{told}");
    let shipped = station.run(&["order", "ship", "WO-1"]);
    let told = format!("{:?}", shipped.all("warning"));
    assert!(told.contains("to trust this log's key"), "{told}");
    station
        .run(&[
            "unit",
            "scrap",
            &ids[0],
            "--reason",
            "a scratch",
            "--permit",
            "scrap",
        ])
        .good();
    let out = station.directory().join("late.json").display().to_string();
    let proven = station
        .run(&["audit", "prove", &ids[0], "--out", &out])
        .good();
    let told = format!("{:?}", proven.all("warning"));
    assert!(told.contains("w.example"), "{told}");
}
