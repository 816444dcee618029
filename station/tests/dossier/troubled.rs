//! Homes in trouble: a registry that is gone, an edited journal, an old copy, a home that was replaced. Each command says so.

use std::path::Path;
use std::process::Command;

use crate::line::{built, dossier, policy, prove};
use crate::station::{Station, keyline, ran};
use crate::witnessed::witnessed_by;
use keyline_station::dossier::verify;

fn tamper(station: &Station, sql: &'static str) {
    let path = station.home().join("journal.sqlite");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        use sqlx::ConnectOptions as _;
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
        let mut connection = options.connect().await.unwrap();
        sqlx::query(sql).execute(&mut connection).await.unwrap();
    });
}

fn check(station: &Station, name: &str) -> serde_json::Value {
    let doctor = station.run(&["doctor"]);
    let found = doctor.all("check").into_iter();
    let mut found = found.filter(|check| check["check"] == name);
    found.next().unwrap().clone()
}

#[test]
fn a_registry_that_is_gone_is_not_made_anew_in_silence() {
    let (station, _) = built(2);
    for entry in std::fs::read_dir(station.home()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("registry.sqlite") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let registry = check(&station, "registry");
    assert_eq!(registry["state"], "fail", "{registry}");
    let found = registry["found"].as_str().unwrap();
    assert!(found.contains("2 keys that were pinned"), "{found}");
    let provision = ["provision", "--order", "WO-1", "--count", "1"];
    station.run(&provision).refused(3, "registry-missing");
    let deep = station.run(&["audit", "verify", "--deep"]);
    assert_eq!(deep.code, 5, "{:?}", deep.lines);
    assert_eq!(deep.all("verdict")[0]["holds"], false);
    assert!(!station.home().join("registry.sqlite").exists());
    // A station that has pinned nothing begins its registry.
    let fresh = Station::with_order(1);
    assert_eq!(check(&fresh, "registry")["state"], "ok");
    fresh.run(&provision).good();
}

#[test]
fn a_dossier_tells_what_became_of_the_unit_and_that_it_may_not_tell_all() {
    let (station, ids) = built(1);
    let before = dossier(&station, &ids[0]);
    let scrap = [
        "unit",
        "scrap",
        &ids[0],
        "--reason",
        "a scratch",
        "--permit",
        "scrap",
    ];
    station.run(&scrap).good();
    let path = prove(&station, &ids[0], "scrapped.json");
    let policy = policy(&station);
    let mut scrapped =
        keyline_station::dossier::Dossier::parse(&std::fs::read_to_string(path).unwrap()).unwrap();
    let verdict = verify(&scrapped, &policy);
    assert!(verdict.holds());
    let leaf = scrapped.entries.last().unwrap().index;
    assert_eq!(
        verdict.result,
        format!(
            "passed, then its pin revoked (leaf {}), then scrapped (leaf {leaf})",
            leaf - 1
        )
    );
    // Without these entries it holds as one from before did; both say that something may have been left out.
    scrapped.entries.truncate(scrapped.entries.len() - 2);
    for dossier in [&before, &scrapped] {
        let verdict = verify(dossier, &policy);
        assert_eq!(verdict.result, "passed");
        let told = verdict.findings.iter();
        assert!(
            told.clone().any(|one| one.check == "completeness"),
            "{told:?}"
        );
    }
    // A file that does not hold is not called passed.
    scrapped.entries[0].body.push(' ');
    let path = station.directory().join("forged.json");
    std::fs::write(&path, serde_json::to_string(&scrapped).unwrap()).unwrap();
    let policy_file = station.directory().join("line.policy");
    std::fs::write(&policy_file, policy.to_bytes()).unwrap();
    let mut verify = keyline();
    verify.args(["audit", "verify", "--policy"]);
    let output = verify.arg(&policy_file).arg(&path).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains(", which claims: passed"), "{words}");
}

#[test]
fn an_edited_journal_hands_nothing_out() {
    let (station, ids) = built(1);
    tamper(
        &station,
        "UPDATE entry SET body = replace(body, 'cloud.example', 'cloud.evil') WHERE body ->> 'kind' = 'product-added'",
    );
    let out = station.directory().join("out").display().to_string();
    let refused = station.run(&["audit", "prove", &ids[0], "--out", &out]);
    let refused = refused.refused(5, "evidence");
    assert!(refused.error_message().contains("committed to"));
    station
        .run(&["audit", "export", "--order", "WO-1", "--out", &out])
        .refused(5, "journal");
    assert!(!Path::new(&out).exists());
}

#[test]
fn a_home_that_was_put_back_says_so_where_it_makes_a_dossier() {
    let (station, ids) = built(1);
    let _witness = witnessed_by(&station, "w.example");
    let provision = ["provision", "--order", "WO-1", "--count", "1"];
    station.run(&provision).good();
    let copy = station.directory().join("copy");
    let copied = Command::new("cp")
        .arg("-a")
        .arg(station.home())
        .arg(&copy)
        .status();
    assert!(copied.unwrap().success());
    station.run(&provision).good();
    let out = station.directory().join("old.json");
    let mut prove = keyline();
    prove.args(["--json", "audit", "prove", &ids[0], "--home"]);
    let proven = ran(&prove.arg(&copy).arg("--out").arg(&out).output().unwrap()).good();
    let told = format!("{:?}", proven.all("warning"));
    assert!(told.contains("the witness w.example has seen"), "{told}");
    // The home that went on is not warned of.
    let out = station.directory().join("new.json").display().to_string();
    let proven = station
        .run(&["audit", "prove", &ids[0], "--out", &out])
        .good();
    assert!(proven.all("warning").is_empty(), "{:?}", proven.lines);
}

#[test]
fn a_replaced_home_is_not_ready() {
    let (station, _) = built(1);
    let new = station.directory().join("new").display().to_string();
    let replaced = std::fs::write(station.home().join("replaced"), &new);
    replaced.unwrap();
    let home = check(&station, "home");
    assert_eq!(home["state"], "fail", "{home}");
    let found = home["found"].as_str().unwrap();
    assert!(found.contains("was replaced by the one at"), "{found}");
}
