//! One row a unit.

use keyline_protocol::identity::{Algorithm, KeyPolicy, LockPolicy, fingerprint};
use keyline_protocol::transcript::ProofTranscript;

use super::column::{Cell, Column, ColumnKind, Value, column, text};
use super::selection::Selection;
use crate::journal::{LoggedChange, UnitRecord, UnitRun};
use crate::record::{
    AgentDigestSource, Change, Evidence, ProtectionStrength, RunResult, Step,
    parse_proof_transcript,
};

/// The columns of an export of units. New ones are added at the end.
pub const COLUMNS: &[Column] = &[
    column("device_id", ColumnKind::Text),
    column("serial", ColumnKind::Text),
    column("order_id", ColumnKind::Text),
    column("order_name", ColumnKind::Text),
    column("product_id", ColumnKind::Text),
    column("product_name", ColumnKind::Text),
    column("customer", ColumnKind::Text),
    // What the station knows of the unit: passed, weak, held, failed, in-progress, quarantined, scrapped.
    column("state", ColumnKind::Text),
    // How its last run ended: passed, weak, held, failed; empty where it hasn't.
    column("result", ColumnKind::Text),
    column("run_id", ColumnKind::Text),
    column("slot", ColumnKind::Number),
    column("operator_id", ColumnKind::Text),
    column("started_at", ColumnKind::Time),
    column("started_at_ms", ColumnKind::Number),
    column("ended_at", ColumnKind::Time),
    column("ended_at_ms", ColumnKind::Number),
    column("algorithm", ColumnKind::Text),
    // The product's policy, and how the key was made by the unit's own record.
    column("key_policy", ColumnKind::Text),
    column("key_made", ColumnKind::Text),
    // SHA-256 of the public key, and the key itself: SPKI DER.
    column("public_key_fingerprint", ColumnKind::Bytes),
    column("public_key", ColumnKind::Bytes),
    column("record_digest", ColumnKind::Bytes),
    column("agent_digest", ColumnKind::Bytes),
    // measured: read back over the probe; claimed: the unit said so.
    column("agent_digest_source", ColumnKind::Text),
    // signed: by the device key; weak: a MAC that only the station could check; empty: none in this run.
    column("proof", ColumnKind::Text),
    column("lock_policy", ColumnKind::Text),
    column("lock_strength", ColumnKind::Text),
    column("lock_seen_to_hold", ColumnKind::Flag),
    column("failure_code", ColumnKind::Text),
    // Indexes in the audit log of the last run's entries.
    column("run_started_leaf", ColumnKind::Number),
    column("proven_leaf", ColumnKind::Number),
    column("pinned_leaf", ColumnKind::Number),
    column("run_ended_leaf", ColumnKind::Number),
];

/// What the changes of a run say of its unit. Whatever the unit has signed in its proof outranks what was noted on the way there.
#[derive(Default)]
struct Facts {
    operator: Option<String>,
    algorithm: Option<Algorithm>,
    key_policy: Option<KeyPolicy>,
    made: Option<KeyPolicy>,
    fingerprint: Option<Vec<u8>>,
    public_key: Option<Vec<u8>>,
    record_digest: Option<Vec<u8>>,
    agent_digest: Option<Vec<u8>>,
    agent_digest_source: Option<AgentDigestSource>,
    weak: Option<bool>,
    lock_policy: Option<LockPolicy>,
    lock_strength: Option<ProtectionStrength>,
    lock_seen_to_hold: Option<bool>,
    started_leaf: Option<u64>,
    proven_leaf: Option<u64>,
    pinned_leaf: Option<u64>,
    ended_leaf: Option<u64>,
}

impl Facts {
    fn of(run: &UnitRun) -> Self {
        let mut facts = Self::default();
        for logged in &run.changes {
            facts.note(logged);
        }
        facts
    }

    fn note(&mut self, logged: &LoggedChange) {
        let leaf = Some(logged.leaf_index);
        match &logged.change {
            Change::RunStarted { operator, .. } => {
                self.started_leaf = leaf;
                self.operator = Some(operator.clone());
            }
            Change::RunEnded { .. } => self.ended_leaf = leaf,
            Change::HeldReleased { fingerprint, .. } => {
                self.pinned_leaf = leaf;
                self.fingerprint = Some(fingerprint.to_vec());
            }
            Change::StepDone { step, evidence, .. } => {
                match step {
                    Step::Proven => self.proven_leaf = leaf,
                    Step::Pinned => self.pinned_leaf = leaf,
                    _ => {}
                }
                self.weigh(evidence);
            }
            _ => {}
        }
    }

    fn weigh(&mut self, evidence: &Evidence) {
        match evidence {
            Evidence::Identified {
                agent_digest,
                agent_digest_source,
                ..
            } => {
                self.agent_digest = Some(agent_digest.to_vec());
                self.agent_digest_source = Some(*agent_digest_source);
            }
            Evidence::Keyed {
                algorithm,
                made,
                public_key,
                ..
            } => {
                self.algorithm = Some(algorithm.0);
                self.made = Some(made.0);
                self.fingerprint = Some(fingerprint(public_key).to_vec());
                self.public_key = Some(public_key.clone());
            }
            Evidence::Claimed { fingerprint, .. } | Evidence::Pinned { fingerprint, .. } => {
                self.fingerprint = Some(fingerprint.to_vec());
            }
            Evidence::Injected { record_digest, .. } => {
                self.record_digest = Some(record_digest.to_vec());
            }
            Evidence::Proven {
                transcript, weak, ..
            } => {
                self.weak = Some(*weak);
                if let Some(proven) = parse_proof_transcript(transcript) {
                    self.take_proven(&proven);
                }
            }
            Evidence::Locked {
                lock_policy,
                seen_to_hold,
                strength,
            } => {
                self.lock_policy = Some(lock_policy.0);
                self.lock_seen_to_hold = *seen_to_hold;
                self.lock_strength = *strength;
            }
            Evidence::Attached { .. } | Evidence::Sealed { .. } => {}
        }
    }

    fn take_proven(&mut self, proven: &ProofTranscript<'_>) {
        self.algorithm = Some(proven.algorithm);
        self.made = Some(proven.made);
        self.key_policy = Some(proven.key_policy);
        self.fingerprint = Some(fingerprint(proven.public_key).to_vec());
        self.public_key = Some(proven.public_key.to_vec());
        self.record_digest = Some(proven.record_digest.to_vec());
        // What was measured stays: that the agent says the same is what the line has checked.
        self.agent_digest = self
            .agent_digest
            .take()
            .or_else(|| Some(proven.agent_digest.to_vec()));
        self.lock_policy = Some(proven.lock_policy);
    }
}

/// The unit's row, in the order of [`COLUMNS`].
pub(super) fn row(record: &UnitRecord, selection: &Selection) -> Vec<Cell> {
    let unit = &record.unit;
    let run = record.run.as_ref();
    let facts = run.map(Facts::of).unwrap_or_default();
    let order = unit.order.and_then(|id| selection.order(id));
    let product = order.and_then(|(_, product)| product);
    let run = run.map(|run| &run.run);
    let started = run.map(|run| run.started_at_ms);
    let ended = run.and_then(|run| run.ended_at_ms);
    let failure = run.and_then(|run| run.failure.as_ref());
    let named = |name: Option<&'static str>| name.map(text);
    let key_policy = facts
        .key_policy
        .or_else(|| product.map(|product| product.key_policy));
    let lock_policy = facts
        .lock_policy
        .or_else(|| product.map(|product| product.lock_policy));
    vec![
        Some(text(unit.device_id.0.to_string())),
        unit.serial.clone().map(Value::Text),
        unit.order.map(|id| text(id.to_string())),
        order.map(|(order, _)| text(&order.name)),
        unit.product.map(|id| text(id.to_string())),
        product.map(|product| text(&product.name)),
        product.map(|product| text(&product.customer)),
        Some(text(unit.state.name())),
        named(run.and_then(|run| run.result).map(RunResult::name)),
        run.map(|run| text(run.id.to_string())),
        run.map(|run| Value::Number(run.slot.into())),
        facts.operator.map(Value::Text),
        started.map(Value::Time),
        started.map(Value::Number),
        ended.map(Value::Time),
        ended.map(Value::Number),
        named(facts.algorithm.map(Algorithm::name)),
        named(key_policy.map(KeyPolicy::name)),
        named(facts.made.map(KeyPolicy::name)),
        facts.fingerprint.map(Value::Bytes),
        facts.public_key.map(Value::Bytes),
        facts.record_digest.map(Value::Bytes),
        facts.agent_digest.map(Value::Bytes),
        named(facts.agent_digest_source.map(source_name)),
        named(facts.weak.map(|weak| if weak { "weak" } else { "signed" })),
        named(lock_policy.map(LockPolicy::name)),
        named(facts.lock_strength.map(strength_name)),
        facts.lock_seen_to_hold.map(Value::Flag),
        named(failure.map(|failure| failure.code.name())),
        facts.started_leaf.map(Value::Number),
        facts.proven_leaf.map(Value::Number),
        facts.pinned_leaf.map(Value::Number),
        facts.ended_leaf.map(Value::Number),
    ]
}

const fn source_name(source: AgentDigestSource) -> &'static str {
    match source {
        AgentDigestSource::Measured => "measured",
        AgentDigestSource::Claimed => "claimed",
    }
}

const fn strength_name(strength: ProtectionStrength) -> &'static str {
    match strength {
        ProtectionStrength::Bypassable => "bypassable",
        ProtectionStrength::DebugPortClosed => "debug-port-closed",
    }
}
