//! Apache Parquet: typed columns, all of them optional, in row groups of bounded size.
//!
//! | column | Parquet type |
//! |-|-|
//! | text | `BYTE_ARRAY`, `STRING` |
//! | number | `INT64` |
//! | flag | `BOOLEAN` |
//! | time | `INT64`, `TIMESTAMP(MILLIS, UTC)` |
//! | bytes | `BYTE_ARRAY` |

use std::sync::Arc;

use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::Result;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;

use super::column::{Cell, Column, ColumnKind, Value};
use super::measured::MeasuredFile;

/// The most rows of a row group: they are held in memory until it is written.
const GROUP_ROWS_MAX: usize = 8_192;

/// The most bytes of text and binary cells in a row group, for the same reason.
const GROUP_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A Parquet file that is being written.
pub(super) struct ParquetFile {
    columns: &'static [Column],
    writer: SerializedFileWriter<MeasuredFile>,
    rows: Vec<Vec<Cell>>,
    bytes: usize,
}

impl ParquetFile {
    pub(super) fn begin(columns: &'static [Column], file: MeasuredFile) -> Result<Self> {
        let schema = parse_message_type(&schema(columns))?;
        let properties = WriterProperties::builder()
            .set_created_by(concat!("keyline ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        Ok(Self {
            columns,
            writer: SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))?,
            rows: Vec::new(),
            bytes: 0,
        })
    }

    pub(super) fn row(&mut self, cells: &[Cell]) -> Result<()> {
        self.bytes += cells.iter().map(length).sum::<usize>();
        self.rows.push(cells.to_vec());
        if self.rows.len() >= GROUP_ROWS_MAX || self.bytes >= GROUP_BYTES_MAX {
            self.write_group()?;
        }
        Ok(())
    }

    fn write_group(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        let mut group = self.writer.next_row_group()?;
        for (index, column) in self.columns.iter().enumerate() {
            let Some(mut writer) = group.next_column()? else {
                break;
            };
            let cells = || {
                rows.iter()
                    .map(|row| row.get(index).and_then(Option::as_ref))
            };
            match column.kind {
                ColumnKind::Number | ColumnKind::Time => {
                    write::<Int64Type>(&mut writer, cells(), int64)?;
                }
                ColumnKind::Flag => write::<BoolType>(&mut writer, cells(), flag)?,
                ColumnKind::Text | ColumnKind::Bytes => {
                    write::<ByteArrayType>(&mut writer, cells(), bytes)?;
                }
            }
            writer.close()?;
        }
        group.close()?;
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<MeasuredFile> {
        if !self.rows.is_empty() {
            self.write_group()?;
        }
        self.writer.into_inner()
    }
}

/// Writes one column of a row group. A definition level of 1 says that the cell isn't empty.
fn write<'a, T: DataType>(
    writer: &mut SerializedColumnWriter<'_>,
    cells: impl Iterator<Item = Option<&'a Value>>,
    value: fn(&Value) -> Option<T::T>,
) -> Result<()> {
    let cells: Vec<Option<T::T>> = cells.map(|cell| cell.and_then(value)).collect();
    let levels: Vec<i16> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
    let values: Vec<T::T> = cells.into_iter().flatten().collect();
    writer
        .typed::<T>()
        .write_batch(&values, Some(&levels), None)?;
    Ok(())
}

fn int64(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) | Value::Time(number) => i64::try_from(*number).ok(),
        _ => None,
    }
}

const fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Flag(flag) => Some(*flag),
        _ => None,
    }
}

fn bytes(value: &Value) -> Option<ByteArray> {
    match value {
        Value::Text(text) => Some(text.as_str().into()),
        Value::Bytes(bytes) => Some(bytes.clone().into()),
        _ => None,
    }
}

fn length(cell: &Cell) -> usize {
    match cell {
        Some(Value::Text(text)) => text.len(),
        Some(Value::Bytes(bytes)) => bytes.len(),
        _ => 0,
    }
}

fn schema(columns: &[Column]) -> String {
    let field = |column: &Column| {
        let (physical, logical) = match column.kind {
            ColumnKind::Text => ("BYTE_ARRAY", " (STRING)"),
            ColumnKind::Number => ("INT64", ""),
            ColumnKind::Flag => ("BOOLEAN", ""),
            ColumnKind::Time => ("INT64", " (TIMESTAMP(MILLIS,true))"),
            ColumnKind::Bytes => ("BYTE_ARRAY", ""),
        };
        format!("OPTIONAL {physical} {}{logical};", column.name)
    };
    let fields: Vec<String> = columns.iter().map(field).collect();
    format!("message rows {{ {} }}", fields.join(" "))
}
