//! Holds the journal's tables against the replay of its log.

use super::finding::{Findings, TOLD_MAX};
use super::{Code, ReconcileError};
use crate::journal::{Difference, Snapshot, TABLES};

/// How much of a value is shown, in characters.
const SHOWN_MAX: usize = 200;

/// Compares every table that follows from the log.
pub(super) async fn compare(
    snapshot: &mut Snapshot,
    findings: &mut Findings<'_>,
) -> Result<(), ReconcileError> {
    let limit = u32::try_from(TOLD_MAX).unwrap_or(u32::MAX);
    for table in &TABLES {
        let name = table.name;
        for difference in snapshot.differences(table, limit).await? {
            findings.add(match difference {
                Difference::Missing { key } => {
                    let message =
                        format!("expected this row by the log, the table {name} has none");
                    Code::RowMissing.at(format!("{name} {key}"), message)
                }
                Difference::Added { key } => {
                    let message =
                        format!("expected no such row by the log, the table {name} has one");
                    Code::RowAdded.at(format!("{name} {key}"), message)
                }
                Difference::Changed {
                    key,
                    column,
                    expected,
                    found,
                } => {
                    let (expected, found) = shown(&expected, &found);
                    let message = format!("expected {expected} by the log, found {found}");
                    Code::RowChanged.at(format!("{name} {key}, column {column}"), message)
                }
            });
        }
    }
    Ok(())
}

/// Both values; of long ones what stands around the first difference.
fn shown(expected: &str, found: &str) -> (String, String) {
    let same = expected.chars().zip(found.chars());
    let same = same.take_while(|(one, other)| one == other).count();
    let cut = |text: &str| {
        if text.chars().count() <= SHOWN_MAX {
            return text.to_owned();
        }
        let from = same.saturating_sub(SHOWN_MAX / 4);
        let part: String = text.chars().skip(from).take(SHOWN_MAX).collect();
        format!("…{part}…")
    };
    (cut(expected), cut(found))
}
