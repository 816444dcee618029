//! The two kinds of rows, and how they come page by page out of a snapshot.

use serde::{Deserialize, Serialize};

use super::column::{Cell, Column};
use super::selection::Selection;
use super::{ExportError, leaf_row, unit_row};
use crate::journal::{ExportSnapshot, UnitPage};
use crate::stop::Stop;

/// How many units, with all entries of their last runs, are held in memory at a time: about 30 KiB each.
const UNITS_PAGE: u32 = 256;

/// How many leaves are held in memory at a time: about 2 KiB each with the body.
const LEAVES_PAGE: u32 = 1_000;

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Rows {
    /// One row a unit, with its last run
    Units,
    /// One row a leaf of the audit log, with what opens it
    Leaves,
}

impl Rows {
    /// The name, which is also how the data files' names begin.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Units => "units",
            Self::Leaves => "leaves",
        }
    }

    /// The columns.
    #[must_use]
    pub const fn columns(self) -> &'static [Column] {
        match self {
            Self::Units => unit_row::COLUMNS,
            Self::Leaves => leaf_row::COLUMNS,
        }
    }

    /// Hands every row that the selection takes to `take`, in the order of orders and device ids, or of the log.
    pub(super) async fn each(
        self,
        selection: &Selection,
        snapshot: &mut ExportSnapshot,
        stop: &Stop,
        take: &mut (dyn FnMut(&[Cell]) -> Result<(), ExportError> + Send),
    ) -> Result<(), ExportError> {
        match self {
            Self::Units => match selection.orders() {
                Some(orders) => {
                    for order in orders {
                        units(Some(order), selection, snapshot, stop, take).await?;
                    }
                    Ok(())
                }
                None => units(None, selection, snapshot, stop, take).await,
            },
            Self::Leaves => leaves(selection, snapshot, stop, take).await,
        }
    }
}

async fn units(
    order: Option<crate::record::OrderId>,
    selection: &Selection,
    snapshot: &mut ExportSnapshot,
    stop: &Stop,
    take: &mut (dyn FnMut(&[Cell]) -> Result<(), ExportError> + Send),
) -> Result<(), ExportError> {
    let mut page = UnitPage {
        order,
        from_ms: selection.filter.from_ms,
        to_ms: selection.filter.to_ms,
        after: None,
        limit: UNITS_PAGE,
    };
    loop {
        if stop.requested() {
            return Err(ExportError::Stopped);
        }
        let records = snapshot.units(&page).await?;
        let Some(last) = records.last() else {
            return Ok(());
        };
        page.after = Some(last.unit.device_id);
        for record in &records {
            take(&unit_row::row(record, selection))?;
        }
    }
}

async fn leaves(
    selection: &Selection,
    snapshot: &mut ExportSnapshot,
    stop: &Stop,
    take: &mut (dyn FnMut(&[Cell]) -> Result<(), ExportError> + Send),
) -> Result<(), ExportError> {
    let mut next = 0;
    loop {
        if stop.requested() {
            return Err(ExportError::Stopped);
        }
        let page = snapshot.leaves(next, LEAVES_PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        next = last.index + 1;
        for row in leaf_row::rows(&page, selection, snapshot).await? {
            take(&row)?;
        }
    }
}
