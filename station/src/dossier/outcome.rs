//! What became of a unit, in words for the verdict.

use super::log::Told;
use crate::record::{Change, DeviceIdText, RunResult};

/// What the log says became of the unit's last run.
pub(super) fn result(device_id: DeviceIdText, told: &[Told<'_>]) -> String {
    let last = told.iter().rev().find_map(|one| match &one.change {
        Change::RunEnded { result, .. } => Some(result.name().to_owned()),
        Change::RunStarted { .. } => Some("not ended".to_owned()),
        Change::HeldReleased { weak, .. } => {
            let result = if *weak {
                RunResult::Weak
            } else {
                RunResult::Passed
            };
            Some(result.name().to_owned())
        }
        Change::HeldRefused { .. } => Some(RunResult::Failed.name().to_owned()),
        _ => None,
    });
    let mut result = last.unwrap_or_else(|| "never on the bench".to_owned());
    let ended = told.iter().rposition(|one| {
        matches!(
            one.change,
            Change::RunEnded { .. } | Change::RunStarted { .. }
        )
    });
    for one in told.iter().skip(ended.map_or(0, |ended| ended + 1)) {
        let became = match &one.change {
            Change::UnitQuarantined { .. } => "set apart",
            Change::CloneAlarm { .. } => "a clone alarm",
            Change::UnitReleased { .. } => "released",
            Change::UnitScrapped { .. } => "scrapped",
            Change::PinRevoked { .. } => "its pin revoked",
            Change::OrderShipped { device_ids, .. } if device_ids.contains(&device_id) => "shipped",
            _ => continue,
        };
        result = format!("{result}, then {became} (leaf {})", one.index);
    }
    result
}
