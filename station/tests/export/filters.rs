//! Which rows are taken: filters alone, together, at their edges, and none that is anything.

use crate::factory::{column, export, factory, log_key, provision, rows};
use crate::reader;
use keyline_station::export::verify;

#[test]
fn filters_narrow_alone_and_together() {
    let station = factory();
    let count = |out: &str, more: &[&str]| rows(&station, out, more).len();
    assert_eq!(count("a", &[]), 6);
    assert_eq!(count("b", &["--order", "WO-1"]), 3);
    assert_eq!(count("c", &["--product", "sensor"]), 4);
    assert_eq!(count("d", &["--customer", "zenith"]), 2);
    assert_eq!(
        count("e", &["--customer", "acme", "--product", "sensor"]),
        4
    );
    assert_eq!(
        count("f", &["--order", "WO-2", "--product", "sensor"]),
        1,
        "all of them hold"
    );
    assert_eq!(count("g", &["--order", "WO-3", "--customer", "acme"]), 0);
    let by_name = rows(&station, "h", &["--order", "WO-2"]);
    let id = column(&by_name, "order_id").remove(0);
    assert_eq!(rows(&station, "i", &["--order", &id]), by_name);
    let product = column(&by_name, "product_id").remove(0);
    assert_eq!(count("j", &["--product", &product]), 4);
    // A name is given anew after a product retired: both are meant.
    station.run(&["product", "retire", "sensor"]).good();
    assert_eq!(count("k", &["--product", "sensor"]), 4);
    station
        .add_product("sensor", &["--customer", "zenith"])
        .good();
    crate::factory::add_order(&station, "WO-4", "sensor");
    provision(&station, "WO-4", 1);
    assert_eq!(count("l", &["--product", "sensor"]), 5);
    assert_eq!(
        count("m", &["--product", "sensor", "--customer", "acme"]),
        4
    );
}

#[test]
fn a_time_is_taken_from_its_first_to_before_its_last_moment() {
    let station = factory();
    let all = rows(&station, "all", &[]);
    let mut begun: Vec<String> = column(&all, "started_at");
    begun.sort();
    let (first, last) = (&begun[0], &begun[5]);
    let count = |out: &str, more: &[&str]| rows(&station, out, more).len();
    let from_first = ["--from", first.as_str()];
    assert_eq!(count("a", &from_first), 6, "the moment itself is taken");
    assert_eq!(count("b", &["--to", first]), 0, "the end is left out");
    let expected = begun.iter().filter(|at| *at < last).count();
    assert_eq!(count("c", &["--from", first, "--to", last]), expected);
    let expected = begun.iter().filter(|at| *at >= last).count();
    assert_eq!(count("d", &["--from", last]), expected);
    assert_eq!(count("e", &["--to", "1970-01-02"]), 0);
    assert_eq!(
        count("f", &["--from", "2020-01-01", "--to", "9999-12-31"]),
        6
    );
    assert_eq!(
        count("g", &["--order", "WO-3", "--from", first]),
        2,
        "with another filter"
    );
    let leaves = rows(&station, "h", &["--rows", "leaves", "--from", last]);
    assert!(column(&leaves, "at").iter().all(|at| at >= last));
    assert!(!leaves.is_empty());
}

#[test]
fn nothing_is_an_export_too_and_has_its_columns() {
    let station = factory();
    let formats = [
        "--format", "csv", "--format", "jsonl", "--format", "parquet",
    ];
    let more = [&formats[..], &["--to", "1970-01-02"]].concat();
    export(&station, "none", &more).good();
    let directory = station.directory().join("none");
    let records = reader::csv(&directory.join("units.csv"));
    assert_eq!(records.len(), 1, "the header");
    assert_eq!(records[0][0], "device_id");
    assert_eq!(
        std::fs::read(directory.join("units.jsonl")).unwrap().len(),
        0
    );
    let (rows, schema) = reader::parquet(&directory.join("units.parquet"));
    assert_eq!((rows.len(), schema.len()), (0, records[0].len()));
    let verified = verify(&directory, &[log_key(&station)]).unwrap();
    assert!(verified.manifest.files.iter().all(|file| file.rows == 0));
}

#[test]
fn what_is_not_there_and_what_says_nothing_is_refused() {
    let station = factory();
    for (what, name) in [
        ("--order", "WO-9"),
        ("--product", "toaster"),
        ("--customer", "nobody"),
        ("--order", "wo-1"),
    ] {
        export(&station, "out", &[what, name]).refused(2, "unknown");
    }
    for more in [
        &["--from", "yesterday"][..],
        &["--from", "2026-02-30"],
        &["--order", "WO 1"],
        &["--rows", "people"],
        &["--format", "xlsx"],
        &["--from", "2026-02-01", "--to", "2026-02-01"],
        &["--from", "2026-02-02", "--to", "2026-02-01"],
    ] {
        export(&station, "out", more).refused(2, "usage");
    }
    assert!(!station.directory().join("out").exists());
    let left = std::fs::read_dir(station.directory()).unwrap();
    let left: Vec<_> = left
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("unfinished"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
