//! Holds proofs against the runs that they stand in: product, order, record, agent, and the checkpoint in their nonce. What is kept is as
//! large as the line is wide, beside products and orders.

use std::collections::{HashMap, VecDeque};

use keyline_protocol::identity::Digest;
use keyline_protocol::transcript::ProofTranscript;

use super::{Code, Finding};
use crate::record::{
    Change, Evidence, Order, OrderId, Product, ProductId, RunId, parse_proof_transcript,
};

/// How many checkpoint digests are kept. A proof names one of the latest: the unit answers within seconds.
const DIGESTS_MAX: usize = 65_536;

/// How many proofs whose checkpoint is none of those wait for the whole log to be searched.
const UNRESOLVED_MAX: usize = 10_000;

/// What a run has said so far.
#[derive(Debug)]
struct RunFacts {
    order: OrderId,
    record_digest: Option<Digest>,
}

/// A proof whose checkpoint was not among the latest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unresolved {
    pub(super) index: u64,
    pub(super) digest: Digest,
}

/// The proofs of a log, as they come.
#[derive(Debug, Default)]
pub(super) struct Proofs {
    products: HashMap<ProductId, Product>,
    orders: HashMap<OrderId, Order>,
    runs: HashMap<RunId, RunFacts>,
    sizes: HashMap<Digest, u64>,
    digests: VecDeque<Digest>,
    unresolved: Vec<Unresolved>,
    shipped: HashMap<OrderId, u64>,
}

impl Proofs {
    /// A stored checkpoint of so many leaves.
    pub(super) fn checkpoint(&mut self, digest: Digest, size: u64) {
        if self.digests.len() >= DIGESTS_MAX
            && let Some(oldest) = self.digests.pop_front()
        {
            self.sizes.remove(&oldest);
        }
        self.digests.push_back(digest);
        self.sizes.insert(digest, size);
    }

    /// Units of an order that left the building, as the log says.
    pub(super) fn shipped(&self, order: OrderId) -> u64 {
        self.shipped.get(&order).copied().unwrap_or(0)
    }

    /// Whether the log has added a product of this id.
    pub(super) fn knows_product(&self, id: ProductId) -> bool {
        self.products.contains_key(&id)
    }

    /// The proofs that are still to be searched for.
    pub(super) fn take_unresolved(&mut self) -> Vec<Unresolved> {
        std::mem::take(&mut self.unresolved)
    }

    /// Takes the next change.
    pub(super) fn take(&mut self, index: u64, change: &Change) -> Vec<Finding> {
        match change {
            Change::ProductAdded { product, .. } => {
                self.products.insert(product.id, product.clone());
            }
            Change::OrderAdded { order, .. } => {
                self.orders.insert(order.id, order.clone());
            }
            Change::OrderShipped {
                order, device_ids, ..
            } => {
                *self.shipped.entry(*order).or_default() += device_ids.len() as u64;
            }
            Change::RunStarted { run, order, .. } => {
                let facts = RunFacts {
                    order: *order,
                    record_digest: None,
                };
                self.runs.insert(*run, facts);
            }
            Change::RunEnded { run, .. } => {
                self.runs.remove(run);
            }
            Change::StepDone { run, evidence, .. } => match &**evidence {
                Evidence::Injected { record_digest, .. } => {
                    if let Some(facts) = self.runs.get_mut(run) {
                        facts.record_digest = Some(*record_digest);
                    }
                }
                Evidence::Proven {
                    transcript,
                    nonce_checkpoint_digest,
                    ..
                } => {
                    let mut findings = Vec::new();
                    findings.extend(self.resolve(index, *nonce_checkpoint_digest));
                    if let Some(fields) = parse_proof_transcript(transcript) {
                        findings.extend(self.hold(index, *run, &fields));
                    }
                    return findings;
                }
                _ => {}
            },
            _ => {}
        }
        Vec::new()
    }

    fn resolve(&mut self, index: u64, digest: Digest) -> Option<Finding> {
        // Checkpoints come before the leaves behind them, so that whatever is kept is older than this leaf.
        if self.sizes.get(&digest).is_some_and(|size| *size <= index) {
            return None;
        }
        if self.unresolved.len() < UNRESOLVED_MAX {
            self.unresolved.push(Unresolved { index, digest });
            return None;
        }
        Some(unknown_checkpoint(index, digest))
    }

    fn hold(&self, index: u64, run: RunId, fields: &ProofTranscript<'_>) -> Vec<Finding> {
        let place = format!("leaf {index}");
        let Some(facts) = self.runs.get(&run) else {
            let message =
                format!("expected a proof in a run that has begun and not ended, found run {run}");
            return vec![Code::ProofDiffersFromRun.at(place, message)];
        };
        let order = self.orders.get(&facts.order);
        let product = order.and_then(|order| self.products.get(&order.product));
        let mut expected: Vec<(&str, Vec<u8>, Vec<u8>)> = vec![(
            "order",
            facts.order.as_bytes().to_vec(),
            fields.order.to_vec(),
        )];
        if let Some(digest) = facts.record_digest {
            expected.push(("record", digest.to_vec(), fields.record_digest.to_vec()));
        }
        if let Some(order) = order {
            expected.push((
                "product",
                order.product.as_bytes().to_vec(),
                fields.product.to_vec(),
            ));
            expected.push((
                "agent",
                order.agent_digest.to_vec(),
                fields.agent_digest.to_vec(),
            ));
        }
        if let Some(product) = product {
            expected.extend(of_product(product, fields));
        }
        let differs = expected
            .into_iter()
            .filter(|(_, said, found)| said != found);
        differs
            .map(|(what, said, found)| {
                let message = format!(
                    "expected a proof of the {what} {}, as run {run} has it, found {}",
                    hex::encode(said),
                    hex::encode(found)
                );
                Code::ProofDiffersFromRun.at(&place, message)
            })
            .collect()
    }
}

fn of_product(
    product: &Product,
    fields: &ProofTranscript<'_>,
) -> [(&'static str, Vec<u8>, Vec<u8>); 6] {
    [
        (
            "cloud key",
            product.cloud_key_fingerprint().to_vec(),
            fields.cloud_key_fingerprint.to_vec(),
        ),
        (
            "cloud address",
            product.cloud_address.clone().into_bytes(),
            fields.cloud_address.as_bytes().to_vec(),
        ),
        (
            "lock policy",
            vec![product.lock_policy.code()],
            vec![fields.lock_policy.code()],
        ),
        (
            "key policy",
            vec![product.key_policy.code()],
            vec![fields.key_policy.code()],
        ),
        (
            "platform",
            vec![product.platform.code()],
            vec![fields.platform.code()],
        ),
        (
            "algorithm",
            vec![product.algorithm.code()],
            vec![fields.algorithm.code()],
        ),
    ]
}

/// A proof names a checkpoint that the log did not have then.
pub(super) fn unknown_checkpoint(index: u64, digest: Digest) -> Finding {
    let message = format!(
        "expected a nonce over a checkpoint of at most {index} leaves that the journal has, found the digest {} of none",
        hex::encode(digest)
    );
    Code::NonceCheckpointUnknown.at(format!("leaf {index}"), message)
}
