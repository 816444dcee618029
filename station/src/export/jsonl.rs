//! JSON Lines: one object a row, its members in the order of the columns, every column there.

use std::io::{self, Write as _};

use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::column::{Cell, Column, Value, shown};
use super::measured::MeasuredFile;

/// A JSON Lines file that is being written.
pub(super) struct JsonlFile {
    columns: &'static [Column],
    file: MeasuredFile,
}

impl JsonlFile {
    pub(super) const fn begin(columns: &'static [Column], file: MeasuredFile) -> Self {
        Self { columns, file }
    }

    pub(super) fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        let row = Row {
            columns: self.columns,
            cells,
        };
        let mut line = serde_json::to_vec(&row)?;
        line.push(b'\n');
        self.file.write_all(&line)
    }

    pub(super) fn finish(self) -> MeasuredFile {
        self.file
    }
}

struct Row<'a> {
    columns: &'static [Column],
    cells: &'a [Cell],
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.columns.len()))?;
        for (column, cell) in self.columns.iter().zip(self.cells) {
            match cell {
                None => map.serialize_entry(column.name, &())?,
                Some(Value::Number(number)) => map.serialize_entry(column.name, number)?,
                Some(Value::Flag(flag)) => map.serialize_entry(column.name, flag)?,
                Some(value) => map.serialize_entry(column.name, &shown(value))?,
            }
        }
        map.end()
    }
}
