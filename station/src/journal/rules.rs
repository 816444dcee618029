//! What a change may do, and what it does: the rules of the journal, without a database.

use super::JournalError;
use super::bundle_rules::{AcceptedLeaf, accept};
use super::held_rules::{hold, refuse_held, release_held};
use super::key_rules::{add_key, retire_key};
use super::leaving_rules::{revoke, ship};
use super::model::Operator;
use super::row::to_json;
use super::state::{OpenRun, OrderRow, RunEnd, UnitRow};
use super::unit_rules::{bind, give_up_refused_serial, release, scrap, set_apart};
use super::view::View;
use crate::record::{
    Change, DeviceIdText, Disposition, Failure, FailureCode, Order, OrderId, OrderState, Product,
    ProductId, RunId, RunResult, Step, UnitState,
};

/// Carries out one change on the request's view.
pub(super) fn apply(view: &mut View<'_>, change: &Change) -> Result<(), JournalError> {
    match change {
        // The operator's row comes beside the change, because its name must not be in the log.
        Change::HomeInitialised { .. }
        | Change::Stopped
        | Change::OperatorAdded { .. }
        | Change::CloneAlarm { .. }
        | Change::ConfigurationChanged { .. }
        | Change::ClockStepped { .. }
        | Change::SignInRefused { .. }
        | Change::Exported { .. }
        | Change::AuthorityPublished { .. }
        | Change::CloudKeyChanged { .. }
        | Change::ActCarriedOut { .. }
        | Change::FleetImportBegun { .. }
        | Change::FleetImportEnded { .. }
        | Change::StationEnrolled { .. }
        | Change::StationRetired { .. }
        | Change::AuthorityReplaced { .. }
        | Change::StationReplaced { .. } => Ok(()),
        // Whoever conducted these runs is gone, or was told that he can't go on.
        Change::Started { .. } | Change::SigningResumed { .. } => {
            interrupt_runs(view);
            Ok(())
        }
        Change::LogKeyAdded { key, .. } => add_key(view, key),
        Change::LogKeyRetired { key, .. } => retire_key(view, key),
        Change::BundleAccepted {
            bundle,
            subject,
            version,
            digest,
            note,
            ..
        } => accept(
            view,
            &AcceptedLeaf {
                kind: bundle,
                subject,
                version: *version,
                digest,
                note,
            },
        ),
        Change::ProductAdded { product, .. } => add_product(view, product),
        Change::ProductRetired { product, .. } => retire_product(view, *product),
        Change::OrderAdded { order, .. } => add_order(view, order),
        Change::OrderClosed { order, .. } => close_order(view, *order),
        Change::RunStarted {
            run,
            order,
            slot,
            serial,
            operator,
        } => start_run(view, *run, *order, *slot, serial.as_deref(), operator),
        Change::StepIntended {
            run,
            device_id,
            step,
        } => intend(view, *run, *device_id, *step),
        Change::StepDone {
            run,
            device_id,
            step,
            ..
        } => done(view, *run, *device_id, *step),
        Change::RunEnded {
            run,
            device_id,
            result,
            failure,
            ..
        } => end_run(view, *run, *device_id, *result, failure.as_ref()),
        Change::UnitQuarantined { device_id, run, .. } => {
            set_apart(view, *device_id, *run);
            Ok(())
        }
        Change::HeldReleased {
            run,
            device_id,
            weak,
            ..
        } => release_held(view, *run, *device_id, *weak),
        Change::HeldRefused {
            run,
            device_id,
            failure,
        } => refuse_held(view, *run, *device_id, failure),
        Change::PinRevoked { device_id, .. } => revoke(view, *device_id),
        Change::OrderShipped {
            order, device_ids, ..
        } => ship(view, *order, device_ids),
        Change::UnitReleased { device_id, .. } => release(view, *device_id),
        Change::UnitScrapped { device_id, .. } => scrap(view, *device_id),
    }
}

fn add_product(view: &mut View<'_>, product: &Product) -> Result<(), JournalError> {
    if view.product(product.id).is_some() {
        return Err(JournalError::IdTaken {
            what: "product",
            id: product.id.to_string(),
        });
    }
    let mut all = view
        .base
        .products
        .values()
        .chain(view.draft.products.values());
    // A product that this request retires is in both layers; the draft's word is the newer one.
    if all.any(|other| {
        other.name == product.name
            && view
                .product(other.id)
                .is_some_and(|newest| newest.retired_at_ms.is_none())
    }) {
        return Err(JournalError::NameTaken {
            what: "product",
            name: product.name.clone(),
        });
    }
    view.draft.products.insert(product.id, product.clone());
    Ok(())
}

fn retire_product(view: &mut View<'_>, id: ProductId) -> Result<(), JournalError> {
    let mut product = view.live_product(id)?.clone();
    product.retired_at_ms = Some(view.now_ms);
    view.draft.products.insert(id, product);
    Ok(())
}

fn add_order(view: &mut View<'_>, order: &Order) -> Result<(), JournalError> {
    view.live_product(order.product)?;
    if order.quantity == 0 || order.state != OrderState::Open {
        return Err(JournalError::BadValue {
            expected: "an open order of one unit or more",
            got: format!("{:?}, {} units", order.state, order.quantity),
        });
    }
    if view.order(order.id).is_some() {
        return Err(JournalError::IdTaken {
            what: "order",
            id: order.id.to_string(),
        });
    }
    let mut all = view.base.orders.values().chain(view.draft.orders.values());
    if all.any(|other| other.order.name == order.name) {
        return Err(JournalError::NameTaken {
            what: "order",
            name: order.name.clone(),
        });
    }
    let row = OrderRow {
        order: order.clone(),
        counts: super::OrderCounts::default(),
        whole: true,
    };
    view.draft.orders.insert(order.id, row);
    Ok(())
}

fn close_order(view: &mut View<'_>, id: OrderId) -> Result<(), JournalError> {
    let mut row = view.open_order(id)?.clone();
    row.order.state = OrderState::Closed;
    row.whole = true;
    view.draft.orders.insert(id, row);
    Ok(())
}

fn start_run(
    view: &mut View<'_>,
    run: RunId,
    order: OrderId,
    slot: u16,
    serial: Option<&str>,
    operator: &str,
) -> Result<(), JournalError> {
    let product = view.open_order(order)?.order.product;
    if view.run(run).is_some() || view.facts.ended_runs.contains(&run) {
        return Err(JournalError::IdTaken {
            what: "run",
            id: run.to_string(),
        });
    }
    let row = OpenRun {
        order,
        product,
        slot,
        serial: serial.map(str::to_owned),
        operator: operator.to_owned(),
        started_at_ms: view.now_ms,
        device_id: None,
        intended: None,
        reached: None,
        stored: false,
        live: true,
        end: None,
    };
    view.draft.runs.insert(run, row);
    Ok(())
}

/// Any run that is open may have been left where it was: another one may take its unit over.
fn interrupt_runs(view: &mut View<'_>) {
    let open = view.base.runs.iter().chain(view.draft.runs.iter());
    let open: Vec<_> = open
        .filter(|(_, run)| run.live && run.end.is_none())
        .map(|(id, _)| *id)
        .collect();
    for id in open {
        if let Some(mut run) = view.run(id).filter(|run| run.end.is_none()).cloned() {
            run.live = false;
            view.draft.runs.insert(id, run);
        }
    }
}

fn intend(
    view: &mut View<'_>,
    id: RunId,
    device_id: Option<DeviceIdText>,
    step: Step,
) -> Result<(), JournalError> {
    let mut run = view.open_run(id)?;
    if let Some(device_id) = device_id {
        bind(view, id, &mut run, device_id)?;
    }
    if let Some(device_id) = run.device_id {
        let mut unit = view.known_unit(device_id)?;
        refuse_set_apart(&unit)?;
        if step == Step::Locked {
            unit.unit.lock_intended = Some(id);
            unit.whole = true;
            view.put_unit(unit);
        }
    }
    run.intended = Some(step);
    view.draft.runs.insert(id, run);
    Ok(())
}

/// What was done is recorded even of a unit that was set apart in the meantime: it happened.
fn done(
    view: &mut View<'_>,
    id: RunId,
    device_id: Option<DeviceIdText>,
    step: Step,
) -> Result<(), JournalError> {
    let mut run = view.open_run(id)?;
    if let Some(device_id) = device_id {
        bind(view, id, &mut run, device_id)?;
    }
    if let Some(unit) = run.device_id.and_then(|device_id| view.unit(device_id))
        && step > Step::Identified
        && run.intended != Some(step)
    {
        refuse_set_apart(unit)?;
    }
    run.intended = None;
    run.reached = Some(step);
    view.draft.runs.insert(id, run);
    Ok(())
}

fn refuse_set_apart(unit: &UnitRow) -> Result<(), JournalError> {
    if unit.set_apart() {
        return Err(JournalError::UnitSetApart {
            device_id: unit.unit.device_id,
            state: unit.unit.state,
        });
    }
    Ok(())
}

fn end_run(
    view: &mut View<'_>,
    id: RunId,
    device_id: Option<DeviceIdText>,
    result: RunResult,
    failure: Option<&Failure>,
) -> Result<(), JournalError> {
    let mut run = view.open_run(id)?;
    let needs = match (result, failure, device_id.or(run.device_id)) {
        (RunResult::Failed, None, _) => Some("a failure that says why"),
        (RunResult::Failed, Some(_), _) | (_, None, Some(_)) => None,
        (_, Some(_), _) => Some("no failure"),
        (_, None, None) => Some("a unit"),
    };
    if let Some(needs) = needs {
        return Err(JournalError::BadEnd { result, needs });
    }
    if let Some(device_id) = device_id {
        let bound = bind(view, id, &mut run, device_id);
        // A run may fail because the unit is not the one that it should be: that is recorded of the run, not of the unit.
        if let Err(refusal) = bound
            && (result != RunResult::Failed || run.device_id.is_some())
        {
            return Err(refusal);
        }
    }
    match run.device_id.map(|device_id| view.known_unit(device_id)) {
        Some(unit) => end_on_unit(view, id, &run, unit?, result, failure)?,
        None => count_unidentified(view, run.order),
    }
    run.end = Some(RunEnd {
        result,
        failure: failure
            .map(|failure| to_json("a failure", failure))
            .transpose()?,
        ended_at_ms: view.now_ms,
    });
    view.draft.runs.insert(id, run);
    Ok(())
}

fn count_unidentified(view: &mut View<'_>, order: OrderId) {
    if let Some(mut row) = view.order(order).cloned() {
        row.counts.failed_unidentified += 1;
        view.draft.orders.insert(order, row);
    }
}

fn end_on_unit(
    view: &mut View<'_>,
    id: RunId,
    run: &OpenRun,
    mut row: UnitRow,
    result: RunResult,
    failure: Option<&Failure>,
) -> Result<(), JournalError> {
    let finished = result != RunResult::Failed;
    if row.unit.last_run != Some(id) {
        // A later run has taken over a unit whose run was interrupted: this end says nothing of the unit any more.
        return match row.unit.last_run.filter(|_| finished) {
            Some(other) => Err(JournalError::UnitBusy {
                device_id: row.unit.device_id,
                other,
            }),
            None => Ok(()),
        };
    }
    if finished {
        refuse_set_apart(&row)?;
    }
    count(view, run.order, row.counted, result)?;
    row.counted = Some(result);
    hold(view, id, run, &mut row, result);
    row.unit.consecutive_failures = match failure {
        None => 0,
        Some(failure) if unit_is_to_blame(failure.code) => row.unit.consecutive_failures + 1,
        Some(_) => row.unit.consecutive_failures,
    };
    if let Some(failure) = failure {
        give_up_refused_serial(&mut row, failure.code);
    }
    if !row.set_apart() {
        row.unit.state = match result {
            RunResult::Passed => UnitState::Passed,
            RunResult::Weak => UnitState::Weak,
            RunResult::Held => UnitState::Held,
            RunResult::Failed => UnitState::Failed,
        };
    }
    view.put_unit(row);
    Ok(())
}

/// A station that isn't ready, and a line that was asked to stop, say nothing of the unit.
fn unit_is_to_blame(code: FailureCode) -> bool {
    code.disposition() != Disposition::StopLine && code != FailureCode::Stopped
}

/// Moves a unit from one of its order's counts to another.
pub(super) fn count(
    view: &mut View<'_>,
    order: OrderId,
    before: Option<RunResult>,
    after: RunResult,
) -> Result<(), JournalError> {
    let Some(mut row) = view.order(order).cloned() else {
        return Err(JournalError::NoOpenOrder(order));
    };
    let fills = |result: RunResult| result != RunResult::Failed;
    if fills(after) && !before.is_some_and(fills) && row.counts.finished() >= row.order.quantity {
        return Err(JournalError::OrderFilled {
            order,
            quantity: row.order.quantity,
        });
    }
    if let Some(before) = before {
        let count = row.counts.of_mut(before);
        *count = count.saturating_sub(1);
    }
    *row.counts.of_mut(after) += 1;
    view.draft.orders.insert(order, row);
    Ok(())
}

/// Adds the row of an operator whose change is in the same request.
pub(super) fn add_operator(view: &mut View<'_>, operator: Operator) -> Result<(), JournalError> {
    let mut all = view
        .base
        .operators
        .values()
        .chain(view.draft.operators.values());
    if all.any(|other| other.name == operator.name) {
        return Err(JournalError::NameTaken {
            what: "operator",
            name: operator.name,
        });
    }
    if view.base.operators.contains_key(&operator.id) {
        return Err(JournalError::IdTaken {
            what: "operator",
            id: operator.id,
        });
    }
    view.draft.operators.insert(operator.id.clone(), operator);
    Ok(())
}
