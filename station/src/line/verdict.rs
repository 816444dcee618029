//! What becomes of a unit whose run ended, and what of the line.

use super::Line;
use super::error::{CloneFound, LineError, RunError};
use super::recorder::Recorder;
use super::walk::Finished;
use crate::record::{
    Change, DeviceIdText, Disposition, Failure, FailureCode, RunResult, UnitState,
};

/// How a run ended, for its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) state: UnitState,
    pub(super) already: bool,
}

/// Ends the run in the journal and tells it.
pub(super) fn conclude(
    line: &Line,
    recorder: Recorder<'_>,
    walked: Result<Finished, RunError>,
) -> Result<Ended, LineError> {
    match walked {
        Ok(finished) => {
            let state = match finished.result {
                RunResult::Passed => UnitState::Passed,
                RunResult::Weak => UnitState::Weak,
                RunResult::Held => UnitState::Held,
                RunResult::Failed => UnitState::Failed,
            };
            recorder.end(finished.result, state, finished.already, None, Vec::new())?;
            if let Some(mut target) = finished.target {
                target.detach();
            }
            Ok(Ended {
                state,
                already: finished.already,
            })
        }
        Err(RunError::Failed(failure)) => fail(line, recorder, *failure),
        Err(RunError::Clone(clone)) => raise_alarm(recorder, *clone),
        Err(RunError::Fatal(LineError::Journal(error))) => Err(error.into()),
        Err(RunError::Fatal(error)) => {
            let failure = match &error {
                LineError::NotReady(failure) => failure.clone(),
                LineError::Registry(source) => {
                    Failure::new(source.failure_code(), source.to_string())
                }
                other => Failure::new(FailureCode::RegistryRefused, other.to_string()),
            };
            end_failed(recorder, UnitState::Failed, failure, Vec::new())?;
            Err(error)
        }
    }
}

fn fail(line: &Line, mut recorder: Recorder<'_>, failure: Failure) -> Result<Ended, LineError> {
    match failure.code {
        // Neither is this unit's business: it belongs to another serial, or is another order's finished unit.
        FailureCode::SerialMismatch | FailureCode::UnitOfAnotherOrder => {
            recorder.unbind();
            return end_failed(recorder, UnitState::Failed, failure, Vec::new());
        }
        FailureCode::Quarantined => {
            return end_failed(recorder, UnitState::Quarantined, failure, Vec::new());
        }
        FailureCode::Scrapped => {
            return end_failed(recorder, UnitState::Scrapped, failure, Vec::new());
        }
        _ => {}
    }
    match failure.code.disposition() {
        Disposition::StopLine => {
            end_failed(recorder, UnitState::Failed, failure.clone(), Vec::new())?;
            Err(LineError::NotReady(failure))
        }
        Disposition::Quarantine | Disposition::CloneAlarm => {
            let consequences = quarantine(&recorder, &failure);
            end_failed(recorder, UnitState::Quarantined, failure, consequences)
        }
        Disposition::Retry => {
            // Being stopped is nobody's fault, and what could not be identified can't be set apart.
            let blamed = recorder
                .device_id()
                .filter(|_| failure.code != FailureCode::Stopped);
            let set_apart = match blamed {
                Some(device_id) => {
                    let unit = line.wait(line.journal.unit(device_id))?;
                    let failed_before = unit.map_or(0, |unit| unit.consecutive_failures);
                    failed_before + 1 >= line.failures_before_quarantine
                }
                None => false,
            };
            if !set_apart {
                return end_failed(recorder, UnitState::Failed, failure, Vec::new());
            }
            let consequences = quarantine(&recorder, &failure);
            end_failed(recorder, UnitState::Quarantined, failure, consequences)
        }
    }
}

fn raise_alarm(recorder: Recorder<'_>, clone: CloneFound) -> Result<Ended, LineError> {
    let mut consequences = Vec::new();
    if let Some(device_id) = recorder.device_id() {
        consequences.push(Change::CloneAlarm {
            run: recorder.run,
            device_id,
            fingerprint: clone.fingerprint,
            other_device_id: clone.other_device_id,
            other_fingerprint: clone.other_fingerprint,
        });
    }
    consequences.extend(quarantine(&recorder, &clone.failure));
    end_failed(
        recorder,
        UnitState::Quarantined,
        clone.failure,
        consequences,
    )
}

/// Sets the unit apart; nothing to do where nobody knows which unit it is.
fn quarantine(recorder: &Recorder<'_>, failure: &Failure) -> Vec<Change> {
    let of = |device_id: DeviceIdText| Change::UnitQuarantined {
        device_id,
        run: Some(recorder.run),
        failure: failure.clone(),
    };
    recorder.device_id().map(of).into_iter().collect()
}

fn end_failed(
    recorder: Recorder<'_>,
    state: UnitState,
    failure: Failure,
    consequences: Vec<Change>,
) -> Result<Ended, LineError> {
    recorder.end(RunResult::Failed, state, false, Some(failure), consequences)?;
    Ok(Ended {
        state,
        already: false,
    })
}
