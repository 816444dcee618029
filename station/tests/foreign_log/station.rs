//! The whole way: the log of a station that the command made, from its journal's file and the lines that scripts read.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use keyline_station::audit::{Checkpoint, CheckpointSigner, FileSigner};
use serde_json::Value;
use sqlx::ConnectOptions as _;

use crate::judge::Judge;
use crate::log::Log;
use crate::{accepts, everything};

/// Runs `keyline` on the home and gives its summary.
fn keyline(directory: &Path, arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_keyline"))
        .args(["--json", "--home", "home"])
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {words}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let summary: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!(summary["event"], "summary");
    summary
}

fn openssl(directory: &Path, arguments: &str) {
    let status = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(directory)
        .status()
        .unwrap();
    assert!(status.success(), "openssl {arguments}");
}

/// A home with a product and an order for ten simulated units.
fn make_station(directory: &Path) {
    openssl(
        directory,
        "ecparam -name prime256v1 -genkey -noout -out cloud.private",
    );
    openssl(directory, "ec -in cloud.private -pubout -out cloud.pem");
    keyline(directory, &["init", "--slot", "1=sim", "--slot", "2=sim"]);
    let product = "product add --name sensor --platform nrf51822 --cloud-key cloud.pem --cloud-address cloud.example.com:8883";
    keyline(directory, &product.split(' ').collect::<Vec<_>>());
    let order = "order add --name WO-1 --product sensor --quantity 10";
    keyline(directory, &order.split(' ').collect::<Vec<_>>());
}

async fn leaves(journal: &Path) -> Vec<Vec<u8>> {
    let mut connection = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(journal)
        .connect()
        .await
        .unwrap();
    sqlx::query_scalar("SELECT leaf FROM entry ORDER BY leaf_index")
        .fetch_all(&mut connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn the_log_of_a_real_station_is_accepted() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    make_station(directory);
    let provision = ["provision", "--order", "WO-1", "--count", "1"];
    let notes: Vec<String> = (0..3)
        .map(|_| {
            keyline(directory, &provision)["checkpoint"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    let key_file = directory.join("home/keys/audit.pem");
    let signer = CheckpointSigner::File(FileSigner::open(&key_file).unwrap());
    let origin = notes[0].lines().next().unwrap();
    let key = signer.verifier_key(origin).unwrap();
    let notes: BTreeMap<u64, String> = notes
        .into_iter()
        .map(|note| (Checkpoint::verify(&note, &key).unwrap().size, note))
        .collect();
    assert_eq!(notes.len(), 3, "each unit made the log longer: {notes:?}");
    let leaves = leaves(&directory.join("home/journal.sqlite")).await;
    let log = Log::of(key, leaves, notes);
    for judge in Judge::ALL {
        assert!(accepts(judge, &log, everything) > 0);
    }
}
