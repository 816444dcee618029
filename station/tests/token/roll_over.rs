//! A key joins, both sign, the old one leaves: the log says who signs, and nobody else.

use std::process::Stdio;

use keyline_station::audit::{Checkpoint, CheckpointSigner, FileSigner, VerifierKey};
use serde_json::Value;

use crate::hsm::{Guarded, Hsm, LABEL, TOKEN, signers, verified_by};
use crate::station::Ran;
use crate::support::edit_config;

/// A home with its key in a file, as a demonstration has it, and an HSM beside it.
fn begun_with_a_file() -> Guarded {
    let guarded = Guarded::bare();
    guarded.run(&["init", "--slot", "1=sim"]).good();
    guarded.add_order();
    guarded
}

/// Makes a key in the token and names it in the configuration, beside the one that is there.
fn configure_a_second_key(guarded: &Guarded) {
    let pin_file = guarded.hsm.pin_file().display().to_string();
    let make = ["audit", "key", "make", "--module", Hsm::module()];
    let rest = ["--token", TOKEN, "--label", LABEL, "--pin-file", &pin_file];
    let made = guarded.run(&[&make[..], &rest[..]].concat()).good();
    // What it prints can be pasted into the configuration as it is.
    let block = made.all("document")[0]["text"].as_str().unwrap().trim_end();
    let path = guarded.station.home().join("config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replacen("[operator]", &format!("{block}\n\n[operator]"), 1);
    std::fs::write(path, text).unwrap();
}

/// Takes the block of this kind of key out of the configuration; gives the text before.
fn unconfigure(guarded: &Guarded, kind: &str) -> String {
    let path = guarded.station.home().join("config.toml");
    let before = std::fs::read_to_string(&path).unwrap();
    let begin = before
        .find(&format!("[[audit.key]]\nkind = \"{kind}\""))
        .unwrap();
    let end = begin + before[begin..].find("\n\n").unwrap() + 2;
    let after = format!("{}{}", &before[..begin], &before[end..]);
    std::fs::write(path, after).unwrap();
    before
}

fn write_config(guarded: &Guarded, text: &str) {
    std::fs::write(guarded.station.home().join("config.toml"), text).unwrap();
}

fn keys(guarded: &Guarded) -> Vec<Value> {
    let listed = guarded.run(&["audit", "key", "list"]).good();
    listed.all("log-key").into_iter().cloned().collect()
}

fn states(keys: &[Value]) -> Vec<&str> {
    keys.iter()
        .map(|key| key["state"].as_str().unwrap())
        .collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn checkpoint(ran: &Ran) -> String {
    text(&ran.summary()["checkpoint"]).to_owned()
}

fn key_id(key: &Value) -> u32 {
    u32::from_str_radix(text(&key["key_id"]), 16).unwrap()
}

fn retire(guarded: &Guarded, key: &str, more: &[&str]) -> Ran {
    let retire = [
        "audit",
        "key",
        "retire",
        key,
        "--reason",
        "moved into the token",
    ];
    guarded.run(&[&retire[..], more].concat())
}

#[test]
fn from_a_file_to_a_token_with_every_interruption() {
    let guarded = begun_with_a_file();
    configure_a_second_key(&guarded);
    let known = keys(&guarded);
    assert_eq!(states(&known), ["in-force", "configured"]);
    let (old, new) = (known[0].clone(), known[1].clone());
    let (old_id, new_id) = (key_id(&old), key_id(&new));

    // A configured key does not sign, and may go again: the log does not know it.
    assert_eq!(
        signers(&checkpoint(&guarded.provision("1").good())),
        [old_id]
    );
    let both = unconfigure(&guarded, "token");
    guarded.provision("1").good();
    write_config(&guarded, &both);

    // The only key can't be retired, and an unknown one can't be added.
    let permit = ["--permit", "retire-key"];
    retire(&guarded, text(&old["key_id"]), &permit).refused(2, "refused");
    guarded
        .run(&["audit", "key", "add", "nobody"])
        .refused(2, "unknown");
    guarded
        .run(&["audit", "key", "add", "keys/audit.pem"])
        .refused(2, "refused");

    // From the addition on both sign, the checkpoint that covers it among them.
    let added = guarded.run(&["audit", "key", "add", LABEL]).good();
    let note = checkpoint(&added);
    assert_eq!(signers(&note), [old_id, new_id]);
    for key in [&old, &new] {
        assert!(verified_by(&note, text(&key["key"])), "{note}");
    }
    guarded
        .run(&["audit", "key", "add", LABEL])
        .refused(2, "refused");

    // Interrupted: killed in the middle of a unit, opened again, and with a configuration that lacks either key.
    killed_in_mid_line(&guarded);
    for kind in ["file", "token"] {
        let whole = unconfigure(&guarded, kind);
        let refused = guarded.provision("1").refused(5, "journal");
        let message = refused.error_message();
        assert!(
            message.contains("because the log says that it signs"),
            "{message}"
        );
        assert_eq!(guarded.check("journal")["state"], "fail", "{kind}");
        write_config(&guarded, &whole);
    }
    let note = checkpoint(&guarded.provision("1").good());
    assert_eq!(signers(&note), [old_id, new_id]);
    leave_the_old_one(&guarded, &old, new_id);
}

/// The second half of a roll-over.
fn leave_the_old_one(guarded: &Guarded, old: &Value, new_id: u32) {
    let permit = ["--permit", "retire-key"];
    let old_id = key_id(old);
    // Retiring is destructive, and the covering checkpoint is the last one that the old key signed.
    retire(guarded, text(&old["key_id"]), &[]).refused(4, "permit-missing");
    retire(guarded, text(&old["key_id"]), &permit).good();
    let known = keys(guarded);
    assert_eq!(states(&known), ["retired", "in-force"]);
    let retired_at = known[0]["retired_at"].as_i64().unwrap();
    let covering: Vec<String> = guarded.ask(
        "SELECT note FROM checkpoint WHERE tree_size > (SELECT retired_at FROM log_key WHERE retired_at IS NOT NULL) ORDER BY tree_size",
    );
    assert_eq!(signers(&covering[0]), [old_id, new_id], "{retired_at}");
    assert!(covering[1..].iter().all(|note| signers(note) == [new_id]));
    assert!(covering.len() > 1);

    // The old key is not needed any more, and never returns.
    guarded
        .run(&["audit", "key", "add", text(&old["key_id"])])
        .refused(2, "refused");
    retire(guarded, LABEL, &permit).refused(2, "refused");
    unconfigure(guarded, "file");
    let note = checkpoint(&guarded.provision("1").good());
    assert_eq!(signers(&note), [new_id]);
    assert!(keys(guarded)[0]["place"].is_null());
    // The unit in the killed process's hands was a simulated one and is gone with it: its run stays open.
    guarded.assert_log_verifies();
}

/// SIGKILL in the middle of a line: whoever opens the home next ends what was left.
fn killed_in_mid_line(guarded: &Guarded) {
    let mut process = guarded
        .command(&[
            "provision",
            "--order",
            "WO-1",
            "--slot",
            "1",
            "--count",
            "500",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = std::io::BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut output, &mut line).unwrap();
    std::io::BufRead::read_line(&mut output, &mut line).unwrap();
    process.kill().unwrap();
    process.wait().unwrap();
    guarded.provision("1").good();
}

#[test]
fn only_an_administrator_rolls_a_key_over() {
    use keyline_station::operator::{Permission, Role};
    for role in Role::ALL {
        let may = role.may(Permission::ManageLogKeys);
        assert_eq!(may, role == Role::Administrator, "{}", role.name());
    }
    let guarded = begun_with_a_file();
    configure_a_second_key(&guarded);
    let stranger = guarded.station.directory().join("stranger.token");
    let file = stranger.display().to_string();
    keyline_station::home::write_private(
        &stranger,
        keyline_station::operator::Token::generate()
            .expose()
            .as_bytes(),
    )
    .unwrap();
    for arguments in [
        &["audit", "key", "add", LABEL][..],
        &[
            "audit",
            "key",
            "retire",
            LABEL,
            "--reason",
            "because",
            "--permit",
            "retire-key",
        ],
    ] {
        let all = [&["--operator-token", &file][..], arguments].concat();
        guarded.run(&all).refused(4, "not-allowed");
    }
    assert_eq!(states(&keys(&guarded)), ["in-force", "configured"]);
}

/// Replaces the stored tree head's note by one with the signatures of these keys: what a thief does who has the database and keys of
/// his own, or a retired one.
fn sign_head_again(guarded: &Guarded, by: &[&CheckpointSigner]) {
    guarded.with_journal(async |connection| {
        let note: String = sqlx::query_scalar("SELECT note FROM tree_head")
            .fetch_one(&mut *connection)
            .await
            .unwrap();
        let text = note.split("\n\n").next().unwrap();
        let head = Checkpoint::parse(&format!("{text}\n")).unwrap();
        let mut signed = format!("{text}\n\n");
        for signer in by {
            let key = signer.verifier_key(&head.origin).unwrap();
            let note = head.sign(&key, signer).await.unwrap().to_string();
            signed += note.split_once("\n\n").unwrap().1;
        }
        sqlx::query("UPDATE tree_head SET note = ?1")
            .bind(signed)
            .execute(connection)
            .await
            .unwrap();
    });
}

#[test]
fn a_head_that_another_key_signed_again_is_refused() {
    let guarded = begun_with_a_file();
    configure_a_second_key(&guarded);
    let home = guarded.station.home();
    let old = CheckpointSigner::File(FileSigner::open(&home.join("keys/audit.pem")).unwrap());
    let thief = guarded.station.directory().join("thief.pem");
    let thief = CheckpointSigner::File(FileSigner::generate(&thief).unwrap());
    let refused = |guarded: &Guarded| {
        guarded.provision("1").refused(5, "journal");
        assert_eq!(guarded.check("journal")["state"], "fail");
    };

    // By a key of the thief's own.
    sign_head_again(&guarded, &[&thief]);
    refused(&guarded);
    sign_head_again(&guarded, &[&old]);
    guarded.provision("1").good();

    // Both keys are in force: one signature is not enough.
    guarded.run(&["audit", "key", "add", LABEL]).good();
    let whole: Vec<String> = guarded.ask("SELECT note FROM tree_head");
    sign_head_again(&guarded, &[&old]);
    refused(&guarded);
    sign_head_again(&guarded, &[&old, &thief]);
    refused(&guarded);
    restore_head(&guarded, whole[0].clone());
    guarded.provision("1").good();

    // The old key was retired because it may have been stolen: what it signs now is worth nothing.
    retire(&guarded, "keys/audit.pem", &["--permit", "retire-key"]).good();
    guarded.provision("1").good();
    let whole: Vec<String> = guarded.ask("SELECT note FROM tree_head");
    sign_head_again(&guarded, &[&old]);
    refused(&guarded);
    // Nor does it help to say in the table that it is in force.
    guarded.tamper("UPDATE log_key SET retired_at = NULL");
    refused(&guarded);
    restore_head(&guarded, whole[0].clone());
    refused(&guarded);
}

fn restore_head(guarded: &Guarded, note: String) {
    guarded.with_journal(async move |connection| {
        sqlx::query("UPDATE tree_head SET note = ?1")
            .bind(note)
            .execute(connection)
            .await
            .unwrap();
    });
}

/// The table of keys is only what the leaves amount to: one that says something else is found.
#[test]
fn a_table_of_keys_that_the_leaves_do_not_say_is_found() {
    for (sql, opens) in [
        (
            "UPDATE log_key SET added_at = 1 WHERE added_at IS NOT NULL",
            true,
        ),
        (
            "UPDATE log_key SET retired_at = retired_at + 1 WHERE retired_at IS NOT NULL",
            true,
        ),
        ("DELETE FROM log_key WHERE retired_at IS NOT NULL", true),
        ("DELETE FROM log_key WHERE retired_at IS NULL", false),
        ("DELETE FROM log_key", false),
        (
            "UPDATE log_key SET key = replace(key, 'station-1', 'station-2')",
            false,
        ),
    ] {
        let guarded = begun_with_a_file();
        configure_a_second_key(&guarded);
        guarded.run(&["audit", "key", "add", LABEL]).good();
        retire(&guarded, "keys/audit.pem", &["--permit", "retire-key"]).good();
        guarded.assert_log_verifies();
        guarded.tamper(sql);
        assert_eq!(guarded.check("journal")["state"], "fail", "{sql}");
        let opened = guarded.run(&["audit", "key", "list"]);
        assert_eq!(opened.code == 0, opens, "{sql}: {:?}", opened.lines);
    }
}

/// A key whose verifier key has another name is no key of this log, however sound it is.
#[test]
fn a_key_of_another_log_is_none_of_this_one() {
    let guarded = begun_with_a_file();
    edit_config(&guarded.station, |line| {
        line.starts_with("name = \"station-1\"")
            .then(|| "name = \"station-2\"".to_owned())
    });
    let refused = guarded.provision("1").refused(5, "journal");
    assert!(
        refused.error_message().contains("station-1+"),
        "{}",
        refused.error_message()
    );
    let key = VerifierKey::new("station-1", &[1; 32]);
    assert!(key.is_err() || guarded.check("journal")["state"] == "fail");
}
