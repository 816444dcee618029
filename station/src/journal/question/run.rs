//! Runs and their steps. A run that has not ended is put together from its entries.

use sqlx::{Executor, Sqlite};

use crate::audit::Leaf;
use crate::journal::error::database;
use crate::journal::{InterruptedRun, JournalError, JournalReader, StepEvent, row};
use crate::record::{Change, DeviceIdText, OrderId, Run, RunId, Step, StepPhase};

const DOING: &str = "reading runs";

/// A run's columns, in the order of [`select`].
pub(in crate::journal) type Columns = (
    Vec<u8>,
    Vec<u8>,
    i64,
    Option<String>,
    Option<Vec<u8>>,
    Option<String>,
    Option<String>,
    Option<String>,
    i64,
    Option<i64>,
);

macro_rules! select {
    ($condition:literal) => {
        concat!(
            "SELECT id, order_id, slot, serial, device_id, reached, result, failure, started_at_ms, ended_at_ms FROM run WHERE ",
            $condition
        )
    };
}

/// The run in these columns.
pub(in crate::journal) fn run(columns: Columns) -> Result<Run, JournalError> {
    let (id, order, slot, serial, device, reached, result, failure, started, ended) = columns;
    let reached = reached.map(|name| {
        Step::from_name(&name).ok_or_else(|| row::damaged("a run's step", "a step's name", name))
    });
    Ok(Run {
        id: RunId::from_bytes(row::id(&id)?),
        order: OrderId::from_bytes(row::id(&order)?),
        slot: u16::try_from(slot)
            .map_err(|_| row::damaged("a run's slot", "0 to 65535", slot.to_string()))?,
        serial,
        device_id: device.map(|bytes| row::device_id(&bytes)).transpose()?,
        reached: reached.transpose()?,
        result: result.map(|name| row::named(&name)).transpose()?,
        failure: failure
            .map(|text| row::from_json("a run's failure", &text))
            .transpose()?,
        started_at_ms: row::unsigned(started)?,
        ended_at_ms: ended.map(row::unsigned).transpose()?,
    })
}

/// The steps of a run, in the order of the log.
async fn steps<'e>(
    executor: impl Executor<'e, Database = Sqlite>,
    run: RunId,
) -> Result<Vec<StepEvent>, JournalError> {
    let rows: Vec<(i64, Vec<u8>, String)> = sqlx::query_as(
        "SELECT leaf_index, leaf, body FROM entry WHERE run_id = ?1 ORDER BY leaf_index",
    )
    .bind(&run.as_bytes()[..])
    .fetch_all(executor)
    .await
    .map_err(database("reading a run's steps"))?;
    let mut events = Vec::with_capacity(rows.len());
    for (index, leaf, body) in rows {
        let (step, phase, device_id, evidence) = match row::from_json("an entry", &body)? {
            Change::StepIntended {
                step, device_id, ..
            } => (step, StepPhase::Intended, device_id, None),
            Change::StepDone {
                step,
                device_id,
                evidence,
                ..
            } => (step, StepPhase::Done, device_id, Some(*evidence)),
            _ => continue,
        };
        events.push(StepEvent {
            leaf: row::unsigned(index)?,
            at_ms: Leaf::decode(&leaf)?.wall_ms,
            step,
            phase,
            device_id,
            evidence,
        });
    }
    Ok(events)
}

/// What the entries of a run without an end say of it.
fn completed(mut run: Run, events: &[StepEvent]) -> InterruptedRun {
    let done = events.iter().rev().find(|e| e.phase == StepPhase::Done);
    let intended = events
        .last()
        .filter(|event| event.phase == StepPhase::Intended)
        .map(|event| event.step);
    run.device_id = run
        .device_id
        .or_else(|| events.iter().rev().find_map(|event| event.device_id));
    run.reached = done.map(|event| event.step);
    InterruptedRun {
        intended,
        done: run.reached,
        run,
    }
}

/// The runs that have no end, the oldest first.
pub(in crate::journal) async fn interrupted(
    pool: &sqlx::SqlitePool,
) -> Result<Vec<InterruptedRun>, JournalError> {
    let rows: Vec<Columns> = sqlx::query_as(select!(
        "result IS NULL ORDER BY started_at_ms, id LIMIT 65536"
    ))
    .fetch_all(pool)
    .await
    .map_err(database(DOING))?;
    let mut found = Vec::with_capacity(rows.len());
    for columns in rows {
        let run = run(columns)?;
        let events = steps(pool, run.id).await?;
        found.push(completed(run, &events));
    }
    Ok(found)
}

impl JournalReader {
    /// A run by its id.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn run(&self, id: RunId) -> Result<Option<Run>, JournalError> {
        let columns: Option<Columns> = sqlx::query_as(select!("id = ?1"))
            .bind(&id.as_bytes()[..])
            .fetch_optional(&self.pool)
            .await
            .map_err(database(DOING))?;
        let Some(found) = columns.map(run).transpose()? else {
            return Ok(None);
        };
        if found.result.is_some() {
            return Ok(Some(found));
        }
        let events = steps(&self.pool, id).await?;
        Ok(Some(completed(found, &events).run))
    }

    /// The runs of a unit that ended, the newest first; at most `limit`.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn runs_of(
        &self,
        device_id: DeviceIdText,
        limit: u32,
    ) -> Result<Vec<Run>, JournalError> {
        let rows: Vec<Columns> =
            sqlx::query_as(select!("device_id = ?1 ORDER BY id DESC LIMIT ?2"))
                .bind(&device_id.0.as_bytes()[..])
                .bind(limit)
                .fetch_all(&self.pool)
                .await
                .map_err(database(DOING))?;
        rows.into_iter().map(run).collect()
    }

    /// The last run that was on a unit, ended or not.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn last_run_of(&self, device_id: DeviceIdText) -> Result<Option<Run>, JournalError> {
        match self.unit(device_id).await?.and_then(|unit| unit.last_run) {
            Some(id) => self.run(id).await,
            None => Ok(None),
        }
    }

    /// The runs that have no end, the oldest first. While a station owns the journal, those that are running now are among them.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn unfinished_runs(&self) -> Result<Vec<InterruptedRun>, JournalError> {
        interrupted(&self.pool).await
    }

    /// The steps of a run with their evidence, in the order of the log.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn steps_of(&self, run: RunId) -> Result<Vec<StepEvent>, JournalError> {
        steps(&self.pool, run).await
    }

    /// The latest journalled intent to lock this unit: since then it may be locked.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn lock_intent_of(
        &self,
        device_id: DeviceIdText,
    ) -> Result<Option<StepEvent>, JournalError> {
        let Some(run) = self
            .unit(device_id)
            .await?
            .and_then(|unit| unit.lock_intended)
        else {
            return Ok(None);
        };
        let events = self.steps_of(run).await?;
        Ok(events
            .into_iter()
            .rev()
            .find(|event| event.step == Step::Locked && event.phase == StepPhase::Intended))
    }
}
