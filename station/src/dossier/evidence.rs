//! What the steps of a unit's runs left behind, held against each other: key, claim, proof, product, order, pin.

use std::collections::HashMap;

use keyline_protocol::identity::fingerprint;
use keyline_protocol::transcript::{ClaimTranscript, ProofTranscript};
use sha2::{Digest as _, Sha256};

use super::finding::{Finding, Outcome, broken, holds, note};
use super::log::{Continued, Told};
use super::standing::{History, Standing};
use super::{Dossier, registry};
use crate::record::{
    AgentDigestSource, Change, DeviceIdText, Evidence, Order, Product, RunId, RunResult,
    parse_proof_transcript,
};
use crate::signature;

/// What the runs of a unit are held against.
#[derive(Clone, Copy)]
pub(crate) struct Context<'c, 'd> {
    /// The unit.
    pub(crate) device_id: DeviceIdText,
    /// What the log says of it, in the order of the log.
    pub(crate) unit: &'c [&'c Told<'d>],
    /// Where the product and the order stand.
    pub(crate) plan: &'c Plan<'c>,
    /// The earlier checkpoints of the log, sorted by their digests.
    pub(crate) continued: &'c [Continued],
}

/// The products and orders of a log's entries, by id.
pub(crate) struct Plan<'c> {
    products: HashMap<&'c [u8], &'c Product>,
    orders: HashMap<&'c [u8], &'c Order>,
}

impl<'c> Plan<'c> {
    /// Finds them; of two with one id the first one counts.
    pub(crate) fn of<'d: 'c>(entries: impl Iterator<Item = &'c Told<'d>>) -> Self {
        let (mut products, mut orders) = (HashMap::new(), HashMap::new());
        for one in entries {
            match &one.change {
                Change::ProductAdded { product, .. } => {
                    let id = product.id.as_bytes().as_slice();
                    products.entry(id).or_insert(product);
                }
                Change::OrderAdded { order, .. } => {
                    orders
                        .entry(order.id.as_bytes().as_slice())
                        .or_insert(order);
                }
                _ => {}
            }
        }
        Self { products, orders }
    }
}

/// Checks every run, what befell the unit outside of them, and what the registry said.
pub(super) fn check(
    dossier: &Dossier,
    told: &[Told<'_>],
    continued: &[Continued],
    findings: &mut Vec<Finding>,
) {
    let stranger = |one: &&Told<'_>| {
        one.leaf
            .device_id
            .is_some_and(|device_id| device_id != dossier.device_id)
    };
    if let Some(one) = told.iter().find(stranger) {
        let words = format!("leaf {} is about another unit", one.index);
        findings.push(broken("unit", words));
    }
    let all: Vec<_> = told.iter().collect();
    let plan = Plan::of(told.iter());
    let context = Context {
        device_id: dossier.device_id,
        unit: &all,
        plan: &plan,
        continued,
    };
    check_runs(context, findings);
    for one in told {
        outside_of_runs(dossier.device_id, one, findings);
    }
    registry::check(dossier, told, findings);
}

/// Checks every run of a unit.
pub(crate) fn check_runs(context: Context<'_, '_>, findings: &mut Vec<Finding>) {
    let mut order: Vec<RunId> = Vec::new();
    let mut runs: HashMap<RunId, Vec<&Told<'_>>> = HashMap::new();
    for one in context.unit {
        let Some(run) = one.leaf.run else { continue };
        let told = runs.entry(run).or_default();
        if told.is_empty() {
            order.push(run);
        }
        told.push(one);
    }
    let history = History::of(context.unit);
    for run in order {
        let mut case = Case {
            context,
            run,
            told: runs.get(&run).map_or(&[], Vec::as_slice),
            history: &history,
            findings,
        };
        case.check();
    }
}

/// What was decided about the unit, by whom and why.
fn outside_of_runs(device_id: DeviceIdText, one: &Told<'_>, findings: &mut Vec<Finding>) {
    let words = match &one.change {
        Change::UnitQuarantined { failure, .. } => {
            format!("set apart: {}: {}", failure.code.name(), failure.message)
        }
        Change::CloneAlarm { .. } => "a clone alarm was raised".to_owned(),
        Change::HeldRefused { failure, .. } => {
            format!(
                "the registry refused it after it was held: {}: {}",
                failure.code.name(),
                failure.message
            )
        }
        Change::UnitReleased {
            operator, reason, ..
        } => format!("released by operator {operator}: {reason}"),
        Change::UnitScrapped {
            operator, reason, ..
        } => format!("scrapped by operator {operator}: {reason}"),
        Change::PinRevoked {
            operator, reason, ..
        } => format!("its pin was revoked by operator {operator}: {reason}"),
        Change::OrderShipped { device_ids, .. } if device_ids.contains(&device_id) => {
            let at = crate::clock::text(one.leaf.wall_ms);
            let words = format!("leaf {}, {at}: it left the building", one.index);
            findings.push(holds("shipped", words));
            return;
        }
        _ => return,
    };
    let at = crate::clock::text(one.leaf.wall_ms);
    findings.push(note("unit", format!("leaf {}, {at}: {words}", one.index)));
}

/// One run of the unit.
struct Case<'c, 'd> {
    context: Context<'c, 'd>,
    run: RunId,
    /// What the log says of the run.
    told: &'c [&'c Told<'d>],
    history: &'c History,
    findings: &'c mut Vec<Finding>,
}

impl Case<'_, '_> {
    fn check(&mut self) {
        let mut agent = None;
        for (index, evidence) in steps(self.told) {
            match evidence {
                Evidence::Identified {
                    agent_digest,
                    agent_digest_source,
                    ..
                } => agent = Some((*agent_digest, *agent_digest_source)),
                Evidence::Keyed { .. } => self.keyed(index, evidence),
                Evidence::Proven { .. } => self.proven(index, evidence, agent),
                _ => {}
            }
        }
        self.ended();
    }

    /// The key has signed this station's challenge.
    fn keyed(&mut self, index: u64, evidence: &Evidence) {
        let Evidence::Keyed {
            algorithm,
            public_key,
            challenge,
            signature: made,
            signed_by_unit,
            first_contact,
            ..
        } = evidence
        else {
            return;
        };
        let transcript = ClaimTranscript {
            challenge,
            device_id: self.context.device_id.0,
            algorithm: algorithm.0,
            public_key,
        };
        let checked = signature::verify(algorithm.0, public_key, &transcript.digest(), made);
        let key = hex::encode(fingerprint(public_key));
        self.findings.push(match checked {
            Err(error) => broken("key", format!("leaf {index}: key {key}: {error}")),
            Ok(()) if !signed_by_unit => note(
                "key",
                format!("leaf {index}: the station signed with key {key} before it wiped it: the unit can't sign"),
            ),
            Ok(()) => holds(
                "key",
                format!("leaf {index}: the unit signed the station's challenge with key {key}"),
            ),
        });
        if *first_contact {
            self.findings.push(note(
                "key",
                format!("leaf {index}: first contact: who held the wire was the unit"),
            ));
        }
    }

    /// After a reset the unit has signed everything that a pin stands for.
    fn proven(
        &mut self,
        index: u64,
        evidence: &Evidence,
        agent: Option<([u8; 32], AgentDigestSource)>,
    ) {
        let Evidence::Proven {
            transcript: bytes,
            authenticator,
            weak,
            nonce_random,
            nonce_checkpoint_digest,
        } = evidence
        else {
            return;
        };
        let Some(transcript) = parse_proof_transcript(bytes) else {
            let words = format!("leaf {index}: expected a proof's transcript, got something else");
            self.findings.push(broken("proof", words));
            return;
        };
        self.findings
            .push(signed(index, &transcript, authenticator, *weak));
        self.fresh(index, &transcript, nonce_random, nonce_checkpoint_digest);
        self.names_this_run(index, &transcript);
        self.built_to_plan(index, &transcript, agent);
    }

    /// The nonce contains a checkpoint of this log from before the proof.
    fn fresh(
        &mut self,
        index: u64,
        transcript: &ProofTranscript<'_>,
        random: &[u8; 32],
        digest: &[u8; 32],
    ) {
        let nonce: [u8; 32] = Sha256::digest([*digest, *random].concat()).into();
        if nonce != *transcript.nonce {
            let words = format!("leaf {index}: the nonce is not the one that its parts make");
            self.findings.push(broken("freshness", words));
            return;
        }
        let continued = self.context.continued;
        let at = continued.binary_search_by_key(digest, |earlier| earlier.digest);
        let bound = at.ok().and_then(|at| continued.get(at));
        self.findings.push(match bound {
            Some(earlier) if earlier.checkpoint.size <= index => holds(
                "freshness",
                format!(
                    "leaf {index}: the challenge contains this log's checkpoint of {} leaves: the proof is not older than that",
                    earlier.checkpoint.size
                ),
            ),
            Some(earlier) => broken(
                "freshness",
                format!(
                    "leaf {index}: expected a checkpoint from before this leaf in the challenge, got one of {} leaves",
                    earlier.checkpoint.size
                ),
            ),
            None => broken(
                "freshness",
                format!("leaf {index}: the checkpoint in the challenge, {}, is not in this file", hex::encode(digest)),
            ),
        });
    }

    fn names_this_run(&mut self, index: u64, transcript: &ProofTranscript<'_>) {
        let same = transcript.device_id == self.context.device_id.0
            && transcript.run == self.run.as_bytes();
        if !same {
            let words = format!("leaf {index}: the unit signed for another unit or run");
            self.findings.push(broken("proof", words));
        }
    }

    /// Product and order, as they stand in the log, are what the unit vouches for.
    fn built_to_plan(
        &mut self,
        index: u64,
        transcript: &ProofTranscript<'_>,
        agent: Option<([u8; 32], AgentDigestSource)>,
    ) {
        let plan = self.context.plan;
        let product = plan.products.get(&transcript.product[..]);
        let order = plan.orders.get(&transcript.order[..]);
        let (Some(product), Some(order)) = (product, order) else {
            let words = format!("leaf {index}: the product or the order is not in this file");
            self.findings.push(broken("product", words));
            return;
        };
        self.findings
            .push(match product_differs(product, transcript) {
                None => holds(
                    "product",
                    format!(
                        "leaf {index}: the unit trusts {} at {}, as product {} says",
                        hex::encode(transcript.cloud_key_fingerprint),
                        transcript.cloud_address,
                        product.name
                    ),
                ),
                Some(field) => broken(
                    "product",
                    format!(
                        "leaf {index}: the {field} is not that of product {}",
                        product.name
                    ),
                ),
            });
        self.findings
            .push(agent_finding(index, order, transcript, agent));
    }

    /// How the run ended, and that a pass has what a pass needs.
    fn ended(&mut self) {
        let end = self.told.iter().find_map(|one| match &one.change {
            Change::RunEnded { run, result, .. } if *run == self.run => Some((one, *result)),
            _ => None,
        });
        let Some((one, result)) = end else {
            let words = format!("run {} was interrupted: it has no end", self.run);
            self.findings.push(note("result", words));
            return;
        };
        let at = crate::clock::text(one.leaf.wall_ms);
        let words = format!(
            "leaf {}: run {} ended {} at {at}",
            one.index,
            self.run,
            result.name()
        );
        let own = Standing::of(steps(self.told));
        if result == RunResult::Held {
            self.released(own, words);
            return;
        }
        self.findings.push(match result {
            RunResult::Failed | RunResult::Held => note("result", words),
            RunResult::Passed | RunResult::Weak if own.proven.is_some() => {
                own.passes(result, words)
            }
            // A locked unit can't be asked again: it is known by its serial, and passes by what an earlier run has shown of it.
            RunResult::Passed | RunResult::Weak => {
                match self.history.before(one.index).passes(result, words) {
                    Finding {
                        outcome: Outcome::Holds,
                        check,
                        words,
                    } => note(
                        check,
                        format!(
                            "{words}, known by its serial: the proof is that of an earlier run"
                        ),
                    ),
                    broken => broken,
                }
            }
        });
    }

    /// A held run stands on what the registry said later: by the very key that was proven in it.
    fn released(&mut self, mut own: Standing, words: String) {
        let Some(later) = self.history.released(self.run) else {
            self.findings.push(note("result", words));
            return;
        };
        own.pinned = Some(later.key);
        let result = if later.weak {
            RunResult::Weak
        } else {
            RunResult::Passed
        };
        let words = format!(
            "{words}; leaf {}: the registry acknowledged it, it is {}",
            later.index,
            result.name()
        );
        self.findings.push(own.passes(result, words));
    }
}

/// Every step that left evidence: the index of its leaf, and the evidence.
fn steps<'c>(told: &'c [&'c Told<'_>]) -> impl Iterator<Item = (u64, &'c Evidence)> {
    told.iter().filter_map(|one| match &one.change {
        Change::StepDone { evidence, .. } => Some((one.index, &**evidence)),
        _ => None,
    })
}

fn signed(
    index: u64,
    transcript: &ProofTranscript<'_>,
    authenticator: &[u8],
    weak: bool,
) -> Finding {
    let (algorithm, key) = (transcript.algorithm, transcript.public_key);
    let shown = hex::encode(fingerprint(key));
    if weak {
        return note(
            "proof",
            format!(
                "leaf {index}: weak: a MAC that only the station could check stands for key {shown}"
            ),
        );
    }
    match signature::verify(algorithm, key, &transcript.digest(), authenticator) {
        Ok(()) => holds(
            "proof",
            format!("leaf {index}: key {shown} signed everything that its pin stands for"),
        ),
        Err(error) => broken("proof", format!("leaf {index}: key {shown}: {error}")),
    }
}

/// The first field in which the unit's word and the product differ.
fn product_differs(product: &Product, transcript: &ProofTranscript<'_>) -> Option<&'static str> {
    let fields = [
        (
            "cloud key",
            product.cloud_key_fingerprint() == *transcript.cloud_key_fingerprint,
        ),
        (
            "cloud address",
            product.cloud_address == transcript.cloud_address,
        ),
        ("chip", product.platform == transcript.platform),
        ("key policy", product.key_policy == transcript.key_policy),
        ("algorithm", product.algorithm == transcript.algorithm),
        ("lock policy", product.lock_policy == transcript.lock_policy),
    ];
    fields
        .into_iter()
        .find_map(|(name, same)| (!same).then_some(name))
}

fn agent_finding(
    index: u64,
    order: &Order,
    transcript: &ProofTranscript<'_>,
    agent: Option<([u8; 32], AgentDigestSource)>,
) -> Finding {
    let digest = hex::encode(transcript.agent_digest);
    if *transcript.agent_digest != order.agent_digest {
        return broken(
            "agent",
            format!(
                "leaf {index}: expected the agent of order {}, {}, got {digest}",
                order.name,
                hex::encode(order.agent_digest)
            ),
        );
    }
    match agent {
        Some((seen, AgentDigestSource::Measured)) if seen == order.agent_digest => holds(
            "agent",
            format!("leaf {index}: agent {digest}, read back over the probe"),
        ),
        _ => note(
            "agent",
            format!("leaf {index}: agent {digest}, as the unit says itself"),
        ),
    }
}
