//! The commands, as an auditor types them.

use crate::line::{built, policy_text, prove};
use crate::station::{keyline, ran};

#[test]
fn a_dossier_and_its_proof_files_hold_on_a_machine_that_has_only_the_files() {
    let (station, ids) = built(2);
    let elsewhere = tempfile::tempdir().unwrap();
    let proofs = elsewhere.path().join("proofs");
    let out = elsewhere.path().join("unit.json");
    station
        .run(&[
            "audit",
            "prove",
            &ids[0],
            "--out",
            out.to_str().unwrap(),
            "--tlog-proofs",
            proofs.to_str().unwrap(),
        ])
        .good();
    let policy = elsewhere.path().join("line.policy");
    std::fs::write(&policy, policy_text(&station)).unwrap();
    drop(station);
    let mut verify = keyline();
    verify.args(["--json", "audit", "verify", "--policy"]);
    verify.arg(&policy).arg(&out);
    let mut count = 1;
    for file in std::fs::read_dir(&proofs).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|name| name == "tlog-proof") {
            verify.arg(path);
            count += 1;
        }
    }
    let verified = ran(&verify.output().unwrap()).good();
    let verdicts = verified.all("verdict");
    assert_eq!(verdicts.len(), count);
    assert!(verdicts.iter().all(|verdict| verdict["holds"] == true));
    assert_eq!(verdicts[0]["subject"], ids[0]);
    assert_eq!(verdicts[0]["result"], "passed");
    // Another leaf under a proof is found.
    let victim = proofs.join("6.leaf");
    let mut leaf = std::fs::read(&victim).unwrap();
    leaf[20] ^= 1;
    std::fs::write(&victim, leaf).unwrap();
    let again = ran(&verify.output().unwrap());
    assert_eq!(again.code, 5, "{:?}", again.lines);
    let broken = again.all("verdict").into_iter();
    assert_eq!(
        broken.filter(|verdict| verdict["holds"] == false).count(),
        1
    );
}

#[test]
fn what_can_not_be_is_refused_with_words() {
    let (station, ids) = built(1);
    let unknown = [
        "audit",
        "prove",
        "4b4c51220000000000000000",
        "--out",
        "x.json",
    ];
    station.run(&unknown).refused(2, "dossier");
    let path = prove(&station, &ids[0], "unit.json").display().to_string();
    // A dossier never overwrites a file.
    let again = ["audit", "prove", &ids[0], "--out", &path];
    station.run(&again).refused(2, "output");
    station.run(&["audit", "verify", &path]).refused(2, "usage");
    station
        .run(&["audit", "verify", &path, "--log-key", "nonsense"])
        .refused(2, "usage");
    let other = "4b4c51220000000000000000+00000000+AAAA";
    station
        .run(&["audit", "verify", "--policy", "missing", &path])
        .refused(2, "usage");
    station
        .run(&["audit", "verify", "no-such-file", "--log-key", other])
        .refused(2, "usage");
    let text = station.directory().join("letter.txt");
    std::fs::write(&text, "Dear auditor").unwrap();
    let text = text.display().to_string();
    let policy = station.directory().join("line.policy");
    std::fs::write(&policy, policy_text(&station)).unwrap();
    let policy = policy.display().to_string();
    station
        .run(&["audit", "verify", &text, "--policy", &policy])
        .refused(2, "usage");
    // One of several units is asked for by its serial; a home is asked nothing to verify a file.
    let elsewhere = station.directory().join("nowhere").display().to_string();
    station
        .run(&[
            "audit", "verify", &path, "--policy", &policy, "--home", &elsewhere,
        ])
        .good();
}

#[test]
fn the_whole_station_holds_and_a_changed_row_does_not() {
    let (station, _) = built(3);
    let deep = station.run(&["audit", "verify", "--deep"]).good();
    let verdict = deep.all("verdict")[0].clone();
    assert_eq!(verdict["holds"], true, "{:?}", deep.lines);
    let path = station.home().join("journal.sqlite");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        use sqlx::ConnectOptions as _;
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
        let mut connection = options.connect().await.unwrap();
        sqlx::query(
            "UPDATE unit SET state = 'held' WHERE device_id = (SELECT min(device_id) FROM unit)",
        )
        .execute(&mut connection)
        .await
        .unwrap();
    });
    let deep = station.run(&["audit", "verify", "--deep"]);
    assert_eq!(deep.code, 5, "{:?}", deep.lines);
    let words = format!("{:?}", deep.all("check"));
    assert!(words.contains("unit") && words.contains("held"), "{words}");
}
