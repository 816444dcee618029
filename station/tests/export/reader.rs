//! Readers that nobody here wrote: Python's csv module, and pyarrow for Parquet.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::python;

fn run(command: &mut Command, what: &str) -> String {
    let output = command.output().unwrap_or_else(|error| {
        panic!("these tests need {what}: {error}");
    });
    assert!(
        output.status.success(),
        "{what} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The records of a CSV file, the header first.
pub(crate) fn csv(path: &Path) -> Vec<Vec<String>> {
    const READ: &str = "import csv, json, sys\nwith open(sys.argv[1], encoding='utf-8', newline='') as file:\n    print(json.dumps(list(csv.reader(file, strict=True))))";
    let mut command = Command::new("python3");
    let text = run(
        command.args(["-c", READ]).arg(path),
        "python3 (Debian: python3)",
    );
    serde_json::from_str(&text).unwrap()
}

/// The records of a CSV file as objects by the header's names.
pub(crate) fn csv_rows(path: &Path) -> Vec<Value> {
    let mut records = csv(path).into_iter();
    let header = records.next().unwrap();
    let row = |record: Vec<String>| {
        assert_eq!(record.len(), header.len(), "{record:?}");
        let cells = header.iter().cloned().zip(record);
        cells
            .map(|(name, cell)| (name, Value::String(cell)))
            .collect()
    };
    records.map(row).collect()
}

/// The rows of a Parquet file and its schema, a column's name and type a line. Bytes are hexadecimal, times milliseconds since 1970.
pub(crate) fn parquet(path: &Path) -> (Vec<Value>, Vec<String>) {
    const READ: &str = "
import datetime, json, sys
import pyarrow.parquet
file = pyarrow.parquet.ParquetFile(sys.argv[1])
table = file.read()
def plain(value):
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime.datetime):
        return round(value.timestamp() * 1000)
    return value
rows = [{name: plain(value) for name, value in row.items()} for row in table.to_pylist()]
print(json.dumps({'rows': rows, 'schema': [f'{field.name}: {field.type}' for field in table.schema]}))
";
    let mut command = python::python();
    let text = run(command.args(["-c", READ]).arg(path), "pyarrow");
    let mut read: Value = serde_json::from_str(&text).unwrap();
    let rows = serde_json::from_value(read["rows"].take()).unwrap();
    (rows, serde_json::from_value(read["schema"].take()).unwrap())
}
