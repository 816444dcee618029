//! What an auditor gives by mistake is named for what it is, with what to give instead.

use std::path::Path;

use crate::line::{built, policy_text, prove};
use crate::station::{Ran, Station, keyline, openssl, ran};

/// Verifies a path under the station's own policy.
fn verify(station: &Station, path: &Path) -> Ran {
    let policy = station.directory().join("own.policy");
    std::fs::write(&policy, policy_text(station)).unwrap();
    let mut verify = keyline();
    verify.args(["--json", "audit", "verify", "--policy"]);
    ran(&verify.arg(policy).arg(path).output().unwrap())
}

/// It is refused as wrong usage; the message and what to do next have these words.
fn assert_advised(station: &Station, path: &Path, got: &str, next: &str) {
    let refused = verify(station, path).refused(2, "usage");
    let error = &refused.all("error")[0]["error"];
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(got), "{message}");
    assert!(error["next"].as_str().unwrap().contains(next), "{error}");
}

#[test]
fn a_path_that_is_no_evidence_is_named() {
    let (station, ids) = built(1);
    let directory = station.directory().to_owned();
    let key = [
        "genpkey",
        "-algorithm",
        "RSA",
        "-pkeyopt",
        "rsa_keygen_bits:2048",
        "-out",
        "ada.key",
    ];
    openssl(&directory, &key);
    openssl(
        &directory,
        &["pkey", "-in", "ada.key", "-pubout", "-out", "ada.pem"],
    );
    let export = ["audit", "export", "--order", "WO-1", "--out"];
    station.run(&[&export[..], &["clear"]].concat()).good();
    let sealed = ["sealed", "--seal-to", "ada.pem"];
    station.run(&[&export[..], &sealed].concat()).good();
    let proofs = [
        "audit",
        "prove",
        &ids[0],
        "--out",
        "unit.json",
        "--tlog-proofs",
        "proofs",
    ];
    station.run(&proofs).good();
    station
        .run(&["audit", "report", "--order", "WO-1", "--out", "lot.html"])
        .good();
    let at = |name: &str| directory.join(name);
    std::fs::create_dir(at("empty")).unwrap();
    std::fs::write(at("empty.json"), "").unwrap();
    let page = std::fs::read_to_string(at("lot.html")).unwrap();
    std::fs::write(at("crlf.html"), page.replace('\n', "\r\n")).unwrap();
    let mut archive = vec![b'a'; 512];
    archive[257..262].copy_from_slice(b"ustar");
    std::fs::write(at("export.tar"), archive).unwrap();
    let leaf = std::fs::read_dir(at("proofs"))
        .unwrap()
        .map(|file| file.unwrap().path());
    let leaf = leaf
        .into_iter()
        .find(|path| path.extension().is_some_and(|end| end == "leaf"));

    assert_advised(
        &station,
        &station.home(),
        "a station's home",
        "audit verify --deep",
    );
    assert_advised(
        &station,
        &at("sealed"),
        "a sealed export",
        "openssl cms -decrypt",
    );
    assert_advised(
        &station,
        &at("sealed/export.cms"),
        "a sealed export",
        "openssl cms",
    );
    assert_advised(
        &station,
        &at("proofs"),
        "a directory of proof files",
        "*.tlog-proof",
    );
    assert_advised(
        &station,
        &leaf.unwrap(),
        "a leaf",
        ".tlog-proof file beside it",
    );
    assert_advised(&station, &at("empty"), "an empty directory", "manifest.txt");
    assert_advised(
        &station,
        &at("empty.json"),
        "an empty file",
        "Ask for it again",
    );
    assert_advised(
        &station,
        &at("clear/manifest.txt"),
        "one file of an export",
        "its directory",
    );
    assert_advised(&station, &at("crlf.html"), "(CRLF)", "byte for byte");
    assert_advised(&station, &at("export.tar"), "a tar archive", "tar -xf");
    // A dossier of which the end is missing is evidence, and does not hold.
    let text = std::fs::read_to_string(at("unit.json")).unwrap();
    std::fs::write(at("half.json"), &text[..text.len() / 2]).unwrap();
    let cut = verify(&station, &at("half.json"));
    assert_eq!(cut.code, 5);
    let found = format!("{:?}", cut.lines);
    assert!(found.contains("the file is cut off"), "{found}");
}

#[test]
fn a_wrong_policy_is_told_from_a_broken_file() {
    let (station, ids) = built(1);
    let file = prove(&station, &ids[0], "unit.json");
    let policy = station.directory().join("other.policy");
    let text = policy_text(&station);
    let key = keyline_station::audit::VerifierKey::new("station-2", &[3; 32]).unwrap();
    std::fs::write(&policy, format!("log {key}\nquorum none\n")).unwrap();
    let policy = policy.display().to_string();
    let path = file.display().to_string();
    let wrong = station.run(&["audit", "verify", &path, "--policy", &policy]);
    assert_eq!(wrong.code, 5);
    let first = &wrong.all("verdict")[0]["checks"][0];
    assert_eq!(first["check"], "policy", "{first}");
    let found = first["found"].as_str().unwrap();
    assert!(
        found.contains("station-1, the policy trusts station-2"),
        "{found}"
    );
    let deep = station.run(&["audit", "verify", "--deep", "--policy", &policy]);
    deep.refused(2, "usage");

    // A mistyped key is not called another format.
    let own = text.split_whitespace().nth(1).unwrap();
    let id = own.split('+').nth(1).unwrap();
    let mistyped = own.replacen(id, "00000000", 1);
    let refused = station.run(&["audit", "verify", &path, "--log-key", &mistyped]);
    let refused = refused.refused(2, "usage");
    assert!(refused.error_message().contains("mistyped or cut"));
    let next = &refused.all("error")[0]["error"]["next"];
    assert!(
        next.as_str()
            .unwrap()
            .contains("audit policy > line.policy"),
        "{next}"
    );
}

#[test]
fn what_to_do_next_names_the_home_that_was_given() {
    let station = Station::new();
    let refused = station
        .run(&["order", "show", "nothing"])
        .refused(2, "unknown");
    let next = refused.all("error")[0]["error"]["next"].as_str().unwrap();
    let home = station.home().display().to_string();
    assert!(
        next.contains(&format!("`keyline --home {home} order list`")),
        "{next}"
    );
}

#[test]
fn a_journal_that_is_gone_or_no_database_is_named_and_not_made_anew() {
    let (station, _) = built(1);
    let path = station.home().join("journal.sqlite");
    let kept = std::fs::read(&path).unwrap();
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(station.home().join(format!("journal.sqlite{end}")));
    }
    let provision = ["provision", "--order", "WO-1", "--count", "1"];
    let missing = station.run(&provision).refused(5, "journal");
    assert!(missing.error_message().contains("expected a journal at"));
    assert!(!path.exists());
    let missing = station.run(&["unit", "list"]).refused(5, "journal");
    let next = missing.all("error")[0]["error"]["next"].as_str().unwrap();
    assert!(next.contains("Restore the home from a backup"), "{next}");
    std::fs::write(&path, vec![b'x'; kept.len()]).unwrap();
    let garbage = station.run(&["unit", "list"]).refused(5, "journal");
    let next = garbage.all("error")[0]["error"]["next"].as_str().unwrap();
    assert!(next.contains("restore it from a backup"), "{next}");
}

#[test]
fn a_report_of_no_time_is_refused() {
    let (station, _) = built(1);
    let report = ["audit", "report", "--order", "WO-1", "--out", "lot.html"];
    let window = ["--from", "2026-11-26", "--to", "2026-11-01"];
    let refused = station
        .run(&[&report[..], &window].concat())
        .refused(2, "usage");
    assert!(refused.error_message().contains("--to to be after --from"));
}

#[test]
fn many_findings_of_one_code_are_counted_for_people_and_listed_for_scripts() {
    let (station, ids) = built(1);
    let provision = ["provision", "--order", "WO-1", "--count", "8"];
    station.run(&provision).good();
    let holds = station.run(&["audit", "verify", "--deep"]).good();
    let told = holds.all("check").into_iter();
    let parts: Vec<_> = told.filter_map(|check| check["check"].as_str()).collect();
    for part in ["tree", "times", "tables", "evidence", "registry"] {
        assert!(parts.contains(&part), "{part}: {parts:?}");
    }
    assert!(!ids.is_empty());
    let path = station.home().join("journal.sqlite");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        use sqlx::ConnectOptions as _;
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
        let mut connection = options.connect().await.unwrap();
        let sql = "UPDATE unit SET state = 'held'";
        sqlx::query(sql).execute(&mut connection).await.unwrap();
    });
    let listed = station.run(&["audit", "verify", "--deep"]);
    let rows = listed.all("check").into_iter();
    assert_eq!(
        rows.filter(|check| check["check"] == "row-changed").count(),
        9
    );
    let mut words = keyline();
    words.args(["audit", "verify", "--deep", "--home"]);
    let output = words.arg(station.home()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said.matches("FAIL  row-changed").count(), 5, "{said}");
    assert!(
        said.contains("and 4 more of row-changed: --json shows them"),
        "{said}"
    );
}
