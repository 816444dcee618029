//! The commands, as an auditor types them.

use keyline_station::dossier::{Dossier, Outcome, verify};

use crate::line::{built, dossier, policy_text, prove};
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
    let mut verify_all = keyline();
    verify_all.args(["--json", "audit", "verify", "--policy"]);
    verify_all.arg(&policy).arg(&out);
    let mut count = 1;
    for file in std::fs::read_dir(&proofs).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|name| name == "tlog-proof") {
            verify_all.arg(path);
            count += 1;
        }
    }
    let verified = ran(&verify_all.output().unwrap()).good();
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
    let again = ran(&verify_all.output().unwrap());
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

/// What the registry said is in the file, and nobody signed the file.
#[test]
fn the_registry_s_part_holds_nothing_up_and_what_was_decided_later_is_the_result() {
    let (station, ids) = built(1);
    let policy = crate::line::policy(&station);
    let verdict = verify(&dossier(&station, &ids[0]), &policy);
    let of_registry: Vec<_> = verdict
        .findings
        .iter()
        .filter(|one| one.check == "registry")
        .collect();
    assert!(of_registry.len() >= 2, "{of_registry:?}");
    for one in of_registry {
        assert_eq!(one.outcome, Outcome::Note, "{one:?}");
        assert!(one.words.contains("nobody signed that"), "{one:?}");
    }
    let rework = ["unit", "rework", &ids[0], "--reason", "stolen"];
    let permitted = [&rework[..], &["--permit", "revoke"]].concat();
    station.run(&permitted).good();
    let path = prove(&station, &ids[0], "revoked.json");
    let text = std::fs::read_to_string(path).unwrap();
    let verdict = verify(&Dossier::parse(&text).unwrap(), &policy);
    assert!(verdict.holds(), "{:?}", verdict.findings);
    assert!(
        verdict.result.contains("then its pin revoked"),
        "{}",
        verdict.result
    );
    let scrap = [
        "unit", "scrap", &ids[0], "--reason", "burnt", "--permit", "scrap",
    ];
    station.run(&scrap).good();
    let path = prove(&station, &ids[0], "scrapped.json");
    let text = std::fs::read_to_string(path).unwrap();
    let verdict = verify(&Dossier::parse(&text).unwrap(), &policy);
    assert!(
        verdict.result.contains("then scrapped"),
        "{}",
        verdict.result
    );
}

/// As many earlier checkpoints as a stranger likes: each is looked at once.
#[test]
fn a_dossier_that_says_everything_many_times_is_checked_all_the_same() {
    let (station, ids) = built(1);
    let mut many = dossier(&station, &ids[0]);
    let earlier = many.earlier[0].clone();
    many.earlier.extend(vec![earlier; 20_000]);
    let verdict = verify(&many, &crate::line::policy(&station));
    assert!(verdict.holds(), "{:?}", verdict.findings);
}

#[test]
fn a_pipe_a_device_and_an_endless_leaf_are_refused() {
    let (station, ids) = built(1);
    let directory = station.directory();
    let policy = directory.join("line.policy");
    std::fs::write(&policy, policy_text(&station)).unwrap();
    let policy = policy.display().to_string();
    let proofs = directory.join("proofs");
    let out = directory.join("unit.json").display().to_string();
    let place = proofs.display().to_string();
    station
        .run(&[
            "audit",
            "prove",
            &ids[0],
            "--out",
            &out,
            "--tlog-proofs",
            &place,
        ])
        .good();
    let pipe = directory.join("pipe").display().to_string();
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    for path in [&pipe[..], "/dev/zero"] {
        let refused = station.run(&["audit", "verify", path, "--policy", &policy]);
        let refused = refused.refused(2, "input");
        let words = format!("{:?}", refused.lines);
        assert!(words.contains("expected a regular file"), "{words}");
    }
    let mut leaves = std::fs::read_dir(&proofs)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let leaf = leaves
        .find(|path| path.extension().is_some_and(|ending| ending == "leaf"))
        .unwrap();
    let proof = leaf.with_extension("tlog-proof").display().to_string();
    let verify = ["audit", "verify", &proof, "--policy", &policy];
    std::fs::write(&leaf, vec![0; 65_537]).unwrap();
    let long = station.run(&verify).refused(2, "usage");
    assert!(long.error_message().contains("at most 64 KiB"));
    std::fs::remove_file(&leaf).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &leaf).unwrap();
    station.run(&verify).refused(2, "input");
}
