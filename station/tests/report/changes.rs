//! Whatever is changed is found: what is seen, what is not, and what somebody made anew who knows the format.

use keyline_station::audit::{SignedNote, TrustPolicy, VerifierKey};
use keyline_station::report::verify;

use crate::lot::{Lot, device, lot, refused};

/// One byte in so many is changed; the first ones of the page and every kind of place are among them.
const STRIDE: usize = 211;

#[test]
fn no_byte_of_the_page_can_be_changed() {
    let lot = lot();
    let bytes = lot.page.as_bytes();
    let mut changed = bytes.to_vec();
    let mut tried = 0;
    for place in (0..bytes.len())
        .step_by(STRIDE)
        .chain(bytes.len() - 3..bytes.len())
    {
        for bit in [0, 5] {
            changed[place] = bytes[place] ^ (1 << bit);
            let text = String::from_utf8(changed.clone());
            // What is no text any more is not read at all.
            if let Ok(text) = text {
                assert!(
                    !verify(&text, &lot.policy).holds(),
                    "byte {place}, bit {bit}"
                );
                tried += 1;
            }
        }
        changed[place] = bytes[place];
    }
    assert!(tried > 500, "{tried}");
}

#[test]
fn bytes_added_or_cut_off_are_found() {
    let lot = lot();
    for text in [
        format!("{}\n", lot.page),
        format!("{} ", lot.page),
        lot.page.trim_end().to_owned(),
        lot.page.replace('\n', "\r\n"),
        lot.page
            .replacen("</main>", "</main><p>and one more</p>", 1),
        lot.page.replacen("{\"format\"", "{ \"format\"", 1),
    ] {
        assert!(!verify(&text, &lot.policy).holds());
    }
}

fn edited(lot: &Lot, from: &str, to: &str) -> Lot {
    assert!(lot.page.contains(from), "{from}");
    Lot {
        page: lot.page.replacen(from, to, 1),
        ..lot.clone()
    }
}

#[test]
fn a_visible_cell_is_found_and_named() {
    let lot = lot();
    for (from, to) in [
        ("</span> failed</td>", "</span> passed</td>"),
        ("<td>revoked</td>", "<td>yes</td>"),
        ("TH-2", "TH-3"),
        ("cloud.example:5684", "cloud.example:5685"),
        ("<td>3</td>", "<td>4</td>"),
        ("What this shows, and what it can&#39;t", "What this shows"),
    ] {
        let from = if lot.page.contains(from) {
            from
        } else {
            "and what it can't"
        };
        let verdict = edited(&lot, from, to).verdict();
        refused(&verdict, "page: line ");
        refused(&verdict, "is not what the data says: expected ");
    }
}

#[test]
fn a_cell_that_is_changed_in_the_data_too_is_found() {
    let lot = lot();
    let failed = |body: &str| body.contains("\"run-ended\"") && body.contains("\"failed\"");
    let place = lot.report.entries.iter().position(|one| failed(&one.body));
    let mut changed = lot.report.clone();
    let entry = &mut changed.entries[place.unwrap()];
    entry.body = entry.body.replace("\"failed\"", "\"passed\"");
    // The page of such data can't even be made; whoever makes it by another program is refused all the same.
    assert!(keyline_station::report::render(&changed).is_err());
    refused(
        &lot.with_raw_data(&changed).verdict(),
        "the body is not the one that was committed to",
    );
}

#[test]
fn a_leaf_a_proof_or_an_earlier_checkpoint_that_was_changed_is_found() {
    let lot = lot();
    let proof = lot.with_data(|report| report.proof.0[0][3] ^= 1);
    refused(
        &proof.verdict(),
        "the shared inclusion proof does not lead to the root",
    );
    let salt = |index: usize| {
        let mut report = lot.report.clone();
        report.entries[index].salt[0] ^= 1;
        keyline_station::report::render(&report)
    };
    assert!(
        salt(3).is_err(),
        "the commitment is checked before the page is made"
    );
    let time = lot.with_data(|report| {
        // The wall time of the last leaf, behind version and kind.
        let leaf = &mut report.entries.last_mut().unwrap().leaf;
        let place = 2 + usize::from(leaf[1]) + 7;
        leaf[place] ^= 1;
    });
    refused(
        &time.verdict(),
        "the shared inclusion proof does not lead to the root",
    );
    let earlier = lot.with_data(|report| report.earlier[0].consistency.0[0][0] ^= 1);
    refused(&earlier.verdict(), "earlier-checkpoints: ");
    let gone = lot.with_data(|report| report.earlier.clear());
    refused(&gone.verdict(), "is not in this file");
    let other = lot.with_data(|report| {
        let note = &mut report.earlier[0].note;
        *note = note.replacen("\u{2014} ", "\u{2014} x", 1);
    });
    refused(
        &other.verdict(),
        "expected a checkpoint that a proof contains",
    );
}

#[test]
fn a_unit_that_was_swapped_or_taken_out_is_found() {
    let lot = lot();
    let of_unit = |number: u32| {
        let id = device(number).0.to_string();
        move |body: &str| body.contains(&id)
    };
    // Two ends in each other's place: the one of unit 20 then stands before its begin.
    let mut swapped = lot.report.clone();
    let place = |told: &dyn Fn(&str) -> bool| {
        let ends = |body: &str| body.contains("\"run-ended\"") && told(body);
        let mut entries = swapped.entries.iter();
        entries.position(|entry| ends(&entry.body)).unwrap()
    };
    let (a, b) = (place(&of_unit(1)), place(&of_unit(20)));
    let index = (swapped.entries[a].index, swapped.entries[b].index);
    swapped.entries.swap(a, b);
    (swapped.entries[a].index, swapped.entries[b].index) = index;
    let verdict = lot.with_raw_data(&swapped).verdict();
    refused(
        &verdict,
        "the shared inclusion proof does not lead to the root",
    );
    refused(&verdict, "expected the begin of its run before it");
    let fewer = lot.with_data(|report| {
        let told = report.entries.iter().map(|one| &one.body);
        let bodies: Vec<serde_json::Value> = told
            .map(|body| serde_json::from_str(body).unwrap())
            .collect();
        let id = device(5).0.to_string();
        let of_unit = bodies
            .iter()
            .filter(|body| body["device_id"] == id.as_str());
        let runs: Vec<_> = of_unit.map(|body| body["run"].clone()).collect();
        let mut keep = bodies
            .iter()
            .map(|body| !runs.contains(&body["run"]) || body["run"].is_null());
        report.entries.retain(|_| keep.next().unwrap());
    });
    assert!(!fewer.page.contains(&device(5).0.to_string()));
    refused(
        &fewer.verdict(),
        "the shared inclusion proof does not lead to the root",
    );
}

#[test]
fn a_signature_under_the_checkpoint_that_was_changed_is_found() {
    let lot = lot();
    let lines = SignedNote::parse(&lot.report.checkpoint)
        .unwrap()
        .signatures;
    assert_eq!(lines.len(), 2, "the log and the witness");
    for place in 0..2 {
        let changed = lot.with_data(|report| {
            let mut note = SignedNote::parse(&report.checkpoint).unwrap();
            note.signatures[place].signature[20] ^= 1;
            report.checkpoint = note.to_string();
        });
        refused(&changed.verdict(), "checkpoint: ");
        let without = lot.with_data(|report| {
            let mut note = SignedNote::parse(&report.checkpoint).unwrap();
            note.signatures.remove(place);
            report.checkpoint = note.to_string();
        });
        refused(&without.verdict(), "checkpoint: ");
    }
}

#[test]
fn a_witness_whom_the_policy_does_not_know_is_not_believed() {
    let lot = lot();
    let with_stranger = lot.with_data(|report| {
        let mut note = SignedNote::parse(&report.checkpoint).unwrap();
        let mut line = note.signatures[1].clone();
        line.name = "ministry.example/seal".to_owned();
        line.key_id ^= 1;
        note.signatures.push(line);
        report.checkpoint = note.to_string();
    });
    assert!(with_stranger.page.contains("ministry.example/seal"));
    refused(
        &with_stranger.verdict(),
        "the page names ministry.example/seal+",
    );
    // Whoever knows no witness at all is told of each.
    let bare = TrustPolicy::of_station(std::slice::from_ref(&lot.log_key), &[], 0).unwrap();
    let verdict = verify(&lot.page, &bare);
    assert!(verdict.holds());
    let told = |one: &keyline_station::dossier::Finding| one.check == "signatures";
    assert_eq!(verdict.findings.iter().filter(|one| told(one)).count(), 1);
}

#[test]
fn another_logs_policy_refuses_it() {
    let lot = lot();
    let key: [u8; 32] = ed25519_dalek::SigningKey::from_bytes(&[7; 32])
        .verifying_key()
        .to_bytes();
    for name in [lot.log_key.name(), "test.example/line-2"] {
        let other = VerifierKey::new(name, &key).unwrap();
        let policy = TrustPolicy::of_station(&[other], &[], 0).unwrap();
        refused(&verify(&lot.page, &policy), "checkpoint: ");
    }
}

#[test]
fn a_file_that_is_no_report_is_said_to_be_none() {
    let lot = lot();
    for (text, words) in [
        ("", "expected a page that begins as"),
        ("<!DOCTYPE html>\n<html>", "expected a page that begins as"),
        (
            keyline_station::report::PAGE_BEGIN,
            "expected the data of a report",
        ),
    ] {
        refused(&verify(text, &lot.policy), words);
    }
    let other = lot
        .page
        .replacen("keyline-report/v2\",", "keyline-report/v1\",", 1);
    refused(&verify(&other, &lot.policy), "expected the format");
    let unknown = lot
        .page
        .replacen("{\"format\"", "{\"more\":1,\"format\"", 1);
    refused(&verify(&unknown, &lot.policy), "unknown field");
}
