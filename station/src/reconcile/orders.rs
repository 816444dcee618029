//! Every order: its quantity, what the log says of its units, and how many keys the registry trusts for it.

use std::collections::HashMap;

use super::finding::Findings;
use super::proofs::Proofs;
use super::{Code, ReconcileError};
use crate::journal::Replayed;
use crate::record::{OrderId, OrderState};

/// Looks at every order; `trusted` is how many keys the registry trusts that were claimed for each.
pub(super) async fn check(
    log: &mut Replayed,
    proofs: &Proofs,
    trusted: Option<&HashMap<OrderId, u64>>,
    findings: &mut Findings<'_>,
) -> Result<(), ReconcileError> {
    for row in log.orders().await? {
        let order = &row.order;
        let place = format!("order {}", order.name);
        let shipped = proofs.shipped(order.id);
        let state = match order.state {
            OrderState::Open => "open",
            OrderState::Closed => "closed",
        };
        let pins = trusted.map_or_else(
            || "the registry was not asked".to_owned(),
            |trusted| {
                let count = trusted.get(&order.id).copied().unwrap_or(0);
                format!("the registry trusts {count} keys claimed for it")
            },
        );
        let message = format!(
            "{state}, {} of {} units finished: {} passed, {} weak, {} held; {} failed, {shipped} shipped; {} units were last built for it; {pins}",
            row.passed + row.weak + row.held,
            order.quantity,
            row.passed,
            row.weak,
            row.held,
            row.failed,
            row.units
        );
        findings.add(Code::OrderStanding.at(&place, message));
        let fit = u64::from(row.passed + row.weak);
        if shipped > fit {
            let message = format!(
                "expected at most {fit} units to be shipped, as have passed, found {shipped}"
            );
            findings.add(Code::ShippedMore.at(&place, message));
        }
    }
    Ok(())
}
