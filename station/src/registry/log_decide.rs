//! The rules of the logs: what a checkpoint does to what is known of its log.

use super::RegistryError;
use super::decide::Decision;
use super::known::{CheckpointRow, KnownLog, LogAlarmRow};
use super::log::{CheckpointReceipt, LogAlarmKind, LogCheckpoint};

impl<'a> Decision<'a> {
    /// Enters a checkpoint, or refuses it and leaves everything as it was, but for an alarm.
    pub(super) fn enter(
        &mut self,
        shown: &'a LogCheckpoint,
    ) -> Result<CheckpointReceipt, RegistryError> {
        let known = self.known.logs.get(&shown.origin).copied();
        if let Some(known) = known {
            if known.station != shown.station {
                self.log_alarm(LogAlarmKind::OriginOfAnother, shown, known.size);
                return Err(RegistryError::OriginOfAnother {
                    origin: shown.origin.clone(),
                    station: known.station,
                });
            }
            self.refuse_fork(shown, known)?;
            if shown.size < known.size {
                self.log_alarm(LogAlarmKind::LogRolledBack, shown, known.size);
                return Err(RegistryError::LogRolledBack {
                    origin: shown.origin.clone(),
                    known: known.size,
                    got: shown.size,
                });
            }
            if shown.size == known.size {
                return Ok(CheckpointReceipt { already: true });
            }
        } else {
            self.writes.logs.push(shown);
        }
        self.writes.checkpoints.push(CheckpointRow {
            checkpoint: shown,
            previous_size: known.map_or(0, |known| known.size),
        });
        let latest = KnownLog {
            station: shown.station,
            size: shown.size,
            root: shown.root,
        };
        self.known.logs.insert(shown.origin.clone(), latest);
        let at = (shown.origin.clone(), shown.size);
        self.known.roots.insert(at, shown.root);
        Ok(CheckpointReceipt { already: false })
    }

    /// Refuses another root at a size that was entered before: at the latest one, or at an earlier one.
    fn refuse_fork(
        &mut self,
        shown: &'a LogCheckpoint,
        known: KnownLog,
    ) -> Result<(), RegistryError> {
        let at = (shown.origin.clone(), shown.size);
        let latest = Some(known.root).filter(|_| shown.size == known.size);
        let entered = latest.or_else(|| self.known.roots.get(&at).copied());
        match entered.filter(|root| *root != shown.root) {
            None => Ok(()),
            Some(known_root) => {
                self.log_alarm(LogAlarmKind::LogForked, shown, known.size);
                Err(RegistryError::LogForked {
                    origin: shown.origin.clone(),
                    size: shown.size,
                    known_root,
                    got_root: shown.root,
                })
            }
        }
    }

    fn log_alarm(&mut self, kind: LogAlarmKind, shown: &'a LogCheckpoint, known_size: u64) {
        self.writes.log_alarms.push(LogAlarmRow {
            kind,
            shown,
            known_size,
        });
    }
}
