//! CSV (RFC 4180): UTF-8, CRLF, quoted where it must be, a header with the columns' names.

use super::column::{Cell, Column, Value, shown};
use super::measured::MeasuredFile;

/// Begins a formula in a spreadsheet, or is what this software puts before one.
const NEEDS_MARK: [char; 8] = ['=', '+', '-', '@', '\t', '\r', '\n', '\''];

/// A CSV file that is being written.
pub(super) struct CsvFile {
    writer: csv::Writer<MeasuredFile>,
}

impl CsvFile {
    pub(super) fn begin(columns: &[Column], file: MeasuredFile) -> csv::Result<Self> {
        let mut writer = csv::WriterBuilder::new()
            .terminator(csv::Terminator::CRLF)
            .from_writer(file);
        writer.write_record(columns.iter().map(|column| column.name))?;
        Ok(Self { writer })
    }

    pub(super) fn row(&mut self, cells: &[Cell]) -> csv::Result<()> {
        self.writer.write_record(cells.iter().map(cell))
    }

    pub(super) fn finish(self) -> csv::Result<MeasuredFile> {
        self.writer
            .into_inner()
            .map_err(|error| error.into_error().into())
    }
}

fn cell(cell: &Cell) -> String {
    match cell {
        None => String::new(),
        Some(Value::Text(text)) if text.starts_with(NEEDS_MARK) => format!("'{text}"),
        Some(value) => shown(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_begins_a_formula_and_every_text_comes_back() {
        for text in [
            "=1+1",
            "+1",
            "-1",
            "@SUM(A1)",
            "\t=1",
            "\r",
            "\n",
            "'",
            "''=",
            "TH-1",
            "",
            "ä=",
            "\u{feff}=1",
        ] {
            let written = cell(&Some(Value::Text(text.to_owned())));
            assert!(!written.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']));
            assert_eq!(written.strip_prefix('\'').unwrap_or(&written), text);
        }
    }
}
