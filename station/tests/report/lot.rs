//! A lot in which everything has happened, under names that try to break the page.

use std::sync::OnceLock;

use keyline_protocol::identity::{LockPolicy, Platform};
use keyline_station::audit::{CosignatureSigner, SignedNote, TrustPolicy, VerifierKey};
use keyline_station::dossier::Outcome;
use keyline_station::journal::{JournalReader, StoredCosignature};
use keyline_station::link::SimTarget;
use keyline_station::record::{
    Change, DeviceIdText, Failure, FailureCode, OrderId, Product, RunId, RunResult, UnitState,
    WhenRegistryUnreachable,
};
use keyline_station::registry::Registry;
use keyline_station::report::{Report, Verdict, Window, make, render, verify};
use keyline_station::tiles::{LogReader, TileDirectory};
use keyline_virtual_unit::sim::{Direction, FrameFaultKind};

use crate::common::{Bench, product, unit};

pub(crate) const HOSTILE_PRODUCT: &str = "</title></script><script>alert(1)</script>";
pub(crate) const HOSTILE_CUSTOMER: &str = "\"' onload=alert(2) & <b>acme</b>";
pub(crate) const HOSTILE_SERIAL: &str = "\u{202e}<img src=x>\u{200b}--><!--";
pub(crate) const WITNESS: &str = "witness.example/w1";

/// What a test needs of a lot: copies of it are changed at will.
#[derive(Clone)]
pub(crate) struct Lot {
    pub(crate) report: Report,
    pub(crate) page: String,
    /// Names the log's key and the witness, who must have cosigned.
    pub(crate) policy: TrustPolicy,
    pub(crate) log_key: VerifierKey,
}

impl Lot {
    pub(crate) fn verdict(&self) -> Verdict {
        verify(&self.page, &self.policy)
    }

    /// The same lot with other data and the page that they make, as somebody makes it who wants to be believed.
    pub(crate) fn with_data(&self, change: impl FnOnce(&mut Report)) -> Self {
        let mut changed = self.clone();
        change(&mut changed.report);
        changed.page = render(&changed.report).unwrap();
        changed
    }

    /// The same page with other data in it.
    pub(crate) fn with_raw_data(&self, report: &Report) -> Self {
        const BEGIN: &str = "id=\"keyline-report\">";
        let (before, rest) = self.page.split_once(BEGIN).unwrap();
        let (_, after) = rest.split_once("</script>").unwrap();
        let data = serde_json::to_string(report).unwrap();
        let data = data.replace('<', "\\u003c");
        Self {
            page: format!("{before}{BEGIN}{data}</script>{after}"),
            ..self.clone()
        }
    }
}

/// The words of what is broken.
pub(crate) fn broken(verdict: &Verdict) -> Vec<String> {
    let broken = |outcome| outcome == Outcome::Broken;
    let findings = verdict.findings.iter().filter(|one| broken(one.outcome));
    findings
        .map(|one| format!("{}: {}", one.check, one.words))
        .collect()
}

/// That it is refused, for a reason that has these words in it.
pub(crate) fn refused(verdict: &Verdict, words: &str) {
    assert!(!verdict.holds(), "{words}");
    let broken = broken(verdict);
    assert!(
        broken.iter().any(|one| one.contains(words)),
        "{words}: {broken:#?}"
    );
}

/// Collects the report of an order of a bench.
pub(crate) fn collect(bench: &Bench, order: OrderId, window: Window) -> Report {
    bench.runtime.block_on(async {
        let home = bench.home.path();
        let journal = JournalReader::open(&home.join("journal.db")).await.unwrap();
        let log = LogReader::new(TileDirectory::new(home.join("tlog")), journal.clone());
        make(&journal, &log, order, window).await.unwrap()
    })
}

pub(crate) fn policy_of(bench: &Bench) -> TrustPolicy {
    TrustPolicy::of_station(&bench.journal.verifier_keys(), &[], 0).unwrap()
}

/// A witness signs the latest checkpoint.
fn cosign(bench: &Bench) -> TrustPolicy {
    let path = bench.home.path().join("witness.pem");
    let signer = CosignatureSigner::generate(&path, WITNESS).unwrap();
    let note = SignedNote::parse(&bench.journal.checkpoint()).unwrap();
    let size = note.text.split('\n').nth(1).unwrap().parse().unwrap();
    let time_s = 1_800_000_000;
    let line = signer.cosign(&note.text, time_s);
    let word = StoredCosignature {
        tree_size: size,
        witness: signer.key().to_string(),
        line: line.to_string(),
        time_s,
    };
    let kept = bench.journal.keep_cosignatures(vec![word], Some(size));
    bench.runtime.block_on(kept).unwrap();
    let witnesses = [(
        signer.key().clone(),
        "http://witness.example/".to_owned(),
        true,
    )];
    TrustPolicy::of_station(&bench.journal.verifier_keys(), &witnesses, 1).unwrap()
}

/// Units that passed, with and without a serial, failed, were set apart, scrapped, revoked, held, and one whose run has no end.
fn told() -> Lot {
    let mut bench = Bench::for_product(Product {
        name: HOSTILE_PRODUCT.to_owned(),
        customer: HOSTILE_CUSTOMER.to_owned(),
        when_registry_unreachable: WhenRegistryUnreachable::Hold,
        lock_policy: LockPolicy::Open,
        ..product()
    });
    bench.commit(vec![Change::HomeInitialised {
        station: bench.station,
    }]);
    for number in 1..=4 {
        let serial = (number > 1).then(|| format!("TH-{number}"));
        let target = Box::new(SimTarget::new(unit(Platform::Nrf51822, number)));
        let event = bench.run_target(target, serial.as_deref());
        assert_eq!(event.state, UnitState::Passed, "{:?}", event.error);
    }
    let failing = unit(Platform::Nrf51822, 5);
    failing.fault(Direction::ToUnit, 2, FrameFaultKind::PullCable);
    assert_eq!(bench.run(&failing).state, UnitState::Failed);
    set_apart(&bench, 3);
    scrapped(&bench, 4);
    revoked(&bench, 2);
    cloned(&bench);
    hostile_serial(&bench);
    begun(&bench);
    bench.runtime.block_on(bench.registry.clone().close());
    assert_eq!(
        bench.run(&unit(Platform::Nrf51822, 9)).state,
        UnitState::Held
    );
    let url = format!("sqlite:{}", bench.home.path().join("registry.db").display());
    bench.registry = bench.runtime.block_on(Registry::connect(&url)).unwrap();
    ship(&bench, &[device(1)]);
    let policy = cosign(&bench);
    let report = collect(&bench, bench.order.id, Window::default());
    Lot {
        page: render(&report).unwrap(),
        report,
        policy,
        log_key: bench.journal.verifier_keys()[0].clone(),
    }
}

/// The lot, made once.
pub(crate) fn lot() -> Lot {
    static LOT: OnceLock<Lot> = OnceLock::new();
    LOT.get_or_init(told).clone()
}

pub(crate) fn device(number: u32) -> DeviceIdText {
    DeviceIdText(unit(Platform::Nrf51822, number).device_id())
}

pub(crate) fn ship(bench: &Bench, devices: &[DeviceIdText]) {
    bench.commit(vec![Change::OrderShipped {
        order: bench.order.id,
        device_ids: devices.to_vec(),
        witnessed_size: 1,
        operator: "op-1".to_owned(),
    }]);
}

fn set_apart(bench: &Bench, number: u32) {
    bench.commit(vec![Change::UnitQuarantined {
        device_id: device(number),
        run: None,
        failure: Failure::new(FailureCode::FlashFault, "it smells"),
    }]);
}

fn scrapped(bench: &Bench, number: u32) {
    bench.commit(vec![Change::UnitScrapped {
        device_id: device(number),
        operator: "op-1".to_owned(),
        reason: "it fell".to_owned(),
    }]);
}

fn revoked(bench: &Bench, number: u32) {
    let pin = bench.pin(device(number).0).unwrap();
    bench.commit(vec![Change::PinRevoked {
        device_id: device(number),
        fingerprint: pin.fingerprint,
        operator: "op-1".to_owned(),
        reason: "it was stolen".to_owned(),
    }]);
}

/// A copy of unit 1's flash in another chip.
fn cloned(bench: &Bench) {
    use keyline_virtual_unit::sim::{SimOptions, SimUnit};
    let whole = unit(Platform::Nrf51822, 20);
    assert_eq!(bench.run(&whole).state, UnitState::Passed);
    let options = SimOptions::seeded(Platform::Nrf51822, (6, 0x4b4c), 6);
    let clone = SimUnit::with_flash_of(&whole, options);
    assert_eq!(bench.run(&clone).state, UnitState::Quarantined);
}

/// The line takes no such serial; a station that lies may.
fn hostile_serial(bench: &Bench) {
    let run = RunId::generate();
    bench.commit(vec![Change::RunStarted {
        run,
        order: bench.order.id,
        slot: 1,
        serial: Some(HOSTILE_SERIAL.repeat(8)),
        operator: "op-1".to_owned(),
    }]);
    bench.commit(vec![Change::StepDone {
        run,
        device_id: Some(device(7)),
        step: keyline_station::record::Step::Attached,
        evidence: Box::new(keyline_station::record::Evidence::Attached {
            link: "sim".to_owned(),
            probe: None,
        }),
    }]);
    bench.commit(vec![Change::RunEnded {
        run,
        device_id: Some(device(7)),
        result: RunResult::Failed,
        failure: Some(Failure::new(FailureCode::UnitTimeout, "no answer")),
        elapsed_ms: 1,
    }]);
}

/// A run that has no end.
fn begun(bench: &Bench) {
    let run = RunId::generate();
    bench.commit(vec![Change::RunStarted {
        run,
        order: bench.order.id,
        slot: 2,
        serial: None,
        operator: "op-1".to_owned(),
    }]);
    bench.commit(vec![Change::StepIntended {
        run,
        device_id: Some(device(8)),
        step: keyline_station::record::Step::Attached,
    }]);
}
