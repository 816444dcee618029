//! Texts that break naive files: quotes, line ends, formulas, other scripts. Whatever a scanner or an old journal holds comes back.

use std::path::Path;

use keyline_station::export::{ExportJob, ExportOptions, Filter, Format, Rows, export, verify};
use keyline_station::journal::{Journal, JournalReader};
use keyline_station::record::{RunResult, Step};
use keyline_station::stop::Stop;
use serde_json::Value;

use crate::factory::read_jsonl;
use crate::fixture::{Home, OPERATOR, device, done, end, intend, start, with_order};
use crate::reader;

/// Exports from a journal that this process writes, in every format, and gives the rows by JSON.
pub(crate) async fn export_in_process(
    home: &Home,
    journal: &Journal,
    out: &Path,
    filter: Filter,
    rows: Rows,
) -> Vec<Value> {
    let reader = JournalReader::open(&home.path()).await.unwrap();
    let journal_file = home.path();
    let job = ExportJob {
        journal,
        reader: &reader,
        home: journal_file.parent().unwrap(),
        operator: OPERATOR,
        cosigner: None,
        stop: &Stop::new(),
    };
    let options = ExportOptions {
        out: out.to_owned(),
        filter,
        rows,
        formats: Format::ALL.to_vec(),
        seal_to: None,
    };
    let exported = export(&job, &options).await.unwrap();
    let verified = verify(out, &journal.verifier_keys()).unwrap();
    assert_eq!(verified.manifest, exported.manifest);
    assert_eq!(verified.manifest_digest, exported.manifest_digest);
    read_jsonl(&out.join(format!("{}.jsonl", rows.name())))
}

const SERIALS: [&str; 16] = [
    "=HYPERLINK(\"http://evil.example\",\"open\")",
    "+49 30 1234",
    "-1+1|cmd",
    "@SUM(1+1)",
    "\tTAB",
    "\rCR",
    "two\nlines",
    "two\r\nlines",
    "comma,semi;colon",
    "\"quoted\" and \"\"twice\"\"",
    "'already marked",
    "''twice",
    "Gerät-№ 7 — 測試 🔑",
    "\u{202e}right to left",
    " spaces around ",
    "\\backslash\\n",
];

#[tokio::test]
async fn every_serial_comes_back_and_none_is_a_formula() {
    let home = Home::new();
    let journal = home.open().await;
    let (_, order) = with_order(&journal, 99).await;
    for (number, serial) in SERIALS.iter().enumerate() {
        let (run, started) = start(order, Some(serial));
        let unit = device(u32::try_from(number).unwrap() + 1);
        journal
            .commit(vec![
                started,
                done(run, unit, Step::Identified),
                intend(run, unit, Step::Keyed),
                end(run, Some(unit), RunResult::Failed),
            ])
            .await
            .unwrap();
    }
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    let rows = export_in_process(&home, &journal, &out, Filter::default(), Rows::Units).await;
    let serials = |rows: &[Value]| {
        let mut serials: Vec<String> = rows
            .iter()
            .map(|row| row["serial"].as_str().unwrap().to_owned())
            .collect();
        serials.sort();
        serials
    };
    let mut expected: Vec<String> = SERIALS.iter().map(|serial| (*serial).to_owned()).collect();
    expected.sort();
    assert_eq!(serials(&rows), expected);
    let (by_parquet, _) = reader::parquet(&out.join("units.parquet"));
    assert_eq!(serials(&by_parquet), expected);
    let by_csv = reader::csv_rows(&out.join("units.csv"));
    let mut unmarked = Vec::new();
    for row in &by_csv {
        for cell in row.as_object().unwrap().values() {
            let cell = cell.as_str().unwrap();
            assert!(
                !cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']),
                "{cell:?} is run by a spreadsheet"
            );
        }
        let serial = row["serial"].as_str().unwrap();
        unmarked.push(serial.strip_prefix('\'').unwrap_or(serial).to_owned());
    }
    unmarked.sort();
    assert_eq!(unmarked, expected);
}

#[tokio::test]
async fn pages_and_row_groups_follow_one_another_without_a_gap() {
    const UNITS: u32 = 9_000;
    let home = Home::new();
    let journal = home.open().await;
    let (_, order) = with_order(&journal, UNITS).await;
    let mut numbers = (1..=UNITS).peekable();
    while numbers.peek().is_some() {
        let mut changes = Vec::new();
        for number in numbers.by_ref().take(60) {
            let (run, started) = start(order, None);
            let unit = device(number);
            changes.extend([
                started,
                done(run, unit, Step::Identified),
                end(run, Some(unit), RunResult::Passed),
            ]);
        }
        journal.commit(changes).await.unwrap();
    }
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("units");
    let filter = Filter {
        order: Some("WO-1".to_owned()),
        ..Filter::default()
    };
    let rows = export_in_process(&home, &journal, &out, filter, Rows::Units).await;
    let mut expected: Vec<String> = (1..=UNITS).map(|n| device(n).0.to_string()).collect();
    expected.sort();
    let devices = |rows: &[Value]| crate::factory::column(rows, "device_id");
    assert_eq!(devices(&rows), expected, "each once, in order");
    let (by_parquet, _) = reader::parquet(&out.join("units.parquet"));
    assert_eq!(devices(&by_parquet), expected);
    let out = directory.path().join("leaves");
    let rows = export_in_process(&home, &journal, &out, Filter::default(), Rows::Leaves).await;
    let indexes = rows.iter().map(|row| row["leaf_index"].as_u64().unwrap());
    assert!(indexes.eq(0..rows.len() as u64));
    assert_eq!(rows.len() as u64, u64::from(UNITS) * 3 + 2 + 1);
}
