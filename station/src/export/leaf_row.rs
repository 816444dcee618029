//! One row a leaf of the audit log.

use std::collections::{BTreeMap, HashMap};

use super::ExportError;
use super::column::{Cell, Column, ColumnKind, Value, column, text};
use super::selection::Selection;
use crate::audit::Leaf;
use crate::journal::{ExportSnapshot, JournalError, LeafRecord, Opening};
use crate::record::{Change, Disposition, Failure, FailureCode, OrderId, RunId};

/// The columns of an export of leaves. New ones are added at the end.
pub const COLUMNS: &[Column] = &[
    column("leaf_index", ColumnKind::Number),
    // The leaf's wall time.
    column("at", ColumnKind::Time),
    column("at_ms", ColumnKind::Number),
    column("kind", ColumnKind::Text),
    column("run_id", ColumnKind::Text),
    column("device_id", ColumnKind::Text),
    // What the tree hashes: SHA-256(0x00 ‖ leaf) is the hash in the tree.
    column("leaf", ColumnKind::Bytes),
    // The commitment in the leaf is SHA-256(salt ‖ body), the body in UTF-8.
    column("salt", ColumnKind::Bytes),
    column("body", ColumnKind::Text),
    // Why salt and body are not shown; empty where they are.
    column("withheld", ColumnKind::Text),
];

/// A body that names a file of the station which holds network credentials.
const NAMES_CREDENTIALS: &str = "names the file with network credentials";

/// A body that may name what is another customer's.
const NAMES_ANOTHER: &str = "may name a unit or order outside of this export";

/// Kinds whose leaf names neither run nor unit, but whose body names an order or a product.
const KINDS_OF_ORDERS: [&str; 5] = [
    "order-added",
    "order-closed",
    "order-shipped",
    "product-added",
    "product-retired",
];

/// What the public part of a leaf says of whose it is.
enum Owner {
    /// The filter takes the leaf.
    Taken,
    /// It doesn't.
    Other,
    /// Only the body says it.
    InTheBody,
}

/// The rows of a page of leaves, in the order of [`COLUMNS`]. Bodies are read of those leaves only that the filter takes, and of those
/// that say only there what order or product they are about.
pub(super) async fn rows(
    page: &[LeafRecord],
    selection: &Selection,
    snapshot: &mut ExportSnapshot,
) -> Result<Vec<Vec<Cell>>, ExportError> {
    let mut leaves = BTreeMap::new();
    for record in page {
        let leaf = Leaf::decode(&record.leaf)?;
        if selection.filter.takes(leaf.wall_ms) {
            leaves.insert(record.index, (record, leaf));
        }
    }
    let runs: Vec<RunId> = leaves.values().filter_map(|(_, leaf)| leaf.run).collect();
    let orders = if selection.is_narrow() {
        snapshot.orders_of_runs(&runs).await?
    } else {
        HashMap::new()
    };
    let mut by_body = Vec::new();
    let mut taken = Vec::new();
    for (index, (_, leaf)) in &leaves {
        match owner(leaf, selection, &orders, snapshot).await? {
            Owner::Taken => taken.push(*index),
            Owner::InTheBody => by_body.push(*index),
            Owner::Other => {}
        }
    }
    let wanted: Vec<u64> = taken.iter().chain(&by_body).copied().collect();
    let mut rows = Vec::with_capacity(wanted.len());
    for opening in snapshot.openings(&wanted).await? {
        let Some((record, leaf)) = leaves.get(&opening.index) else {
            continue;
        };
        let change = change(&opening)?;
        if by_body.contains(&opening.index) && !is_about_selected(&change, selection) {
            continue;
        }
        rows.push(row(record, leaf, opening, withheld(&change, selection)));
    }
    Ok(rows)
}

async fn owner(
    leaf: &Leaf<'_>,
    selection: &Selection,
    orders: &HashMap<RunId, OrderId>,
    snapshot: &mut ExportSnapshot,
) -> Result<Owner, JournalError> {
    let taken = match (leaf.run, leaf.device_id) {
        _ if !selection.is_narrow() => true,
        (Some(run), _) => selection.takes(orders.get(&run).copied()),
        (None, Some(device_id)) => {
            let order = snapshot.order_of_unit_at(device_id, leaf.wall_ms).await?;
            selection.takes(order)
        }
        (None, None) if KINDS_OF_ORDERS.contains(&leaf.kind) => return Ok(Owner::InTheBody),
        (None, None) => false,
    };
    Ok(if taken { Owner::Taken } else { Owner::Other })
}

fn change(opening: &Opening) -> Result<Change, ExportError> {
    serde_json::from_str(&opening.body).map_err(|error| {
        JournalError::Damaged {
            what: "an entry",
            expected: format!("a change in entry {}", opening.index),
            found: error.to_string(),
        }
        .into()
    })
}

/// Whether a change that belongs to no run and no unit is about an order or product of the selection.
fn is_about_selected(change: &Change, selection: &Selection) -> bool {
    match change {
        Change::OrderAdded { order, .. } => selection.takes(Some(order.id)),
        Change::OrderClosed { order, .. } | Change::OrderShipped { order, .. } => {
            selection.takes(Some(*order))
        }
        Change::ProductAdded { product, .. } => selection.takes_product(product.id),
        Change::ProductRetired { product, .. } => selection.takes_product(*product),
        _ => false,
    }
}

/// Why a body is not shown.
fn withheld(change: &Change, selection: &Selection) -> Option<&'static str> {
    let names_another = |failure: &Failure| {
        failure.code.disposition() == Disposition::CloneAlarm
            || failure.code == FailureCode::UnitOfAnotherOrder
    };
    match change {
        Change::ProductAdded { product, .. } if product.credentials_file.is_some() => {
            Some(NAMES_CREDENTIALS)
        }
        Change::CloneAlarm { .. } if selection.is_narrow() => Some(NAMES_ANOTHER),
        Change::RunEnded {
            failure: Some(failure),
            ..
        }
        | Change::UnitQuarantined { failure, .. }
        | Change::HeldRefused { failure, .. }
            if selection.is_narrow() && names_another(failure) =>
        {
            Some(NAMES_ANOTHER)
        }
        _ => None,
    }
}

fn row(
    record: &LeafRecord,
    leaf: &Leaf<'_>,
    opening: Opening,
    withheld: Option<&'static str>,
) -> Vec<Cell> {
    let shown = withheld.is_none();
    vec![
        Some(Value::Number(record.index)),
        Some(Value::Time(leaf.wall_ms)),
        Some(Value::Number(leaf.wall_ms)),
        Some(text(leaf.kind)),
        leaf.run.map(|run| text(run.to_string())),
        leaf.device_id.map(|id| text(id.0.to_string())),
        Some(Value::Bytes(record.leaf.clone())),
        shown.then(|| Value::Bytes(opening.salt.to_vec())),
        shown.then_some(Value::Text(opening.body)),
        withheld.map(text),
    ]
}
