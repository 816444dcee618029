//! A station whose registry is out of reach, the units that it holds, and the look at the whole afterwards.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use keyline_protocol::identity::{DeviceId, Platform};
use keyline_station::audit::{CheckpointSigner, FileSigner};
use keyline_station::event::UnitEvent;
use keyline_station::journal::{Alarm, Journal, JournalReader, Outbox};
use keyline_station::line::{Presented, Slot, UnitSource, provision};
use keyline_station::link::{AgentImage, SimTarget};
use keyline_station::outbox::{Report, Synchroniser};
use keyline_station::reconcile::{Finding, Inputs, Scope, Severity, deep};
use keyline_station::record::{
    DeviceIdText, OrderId, Product, RunId, UnitState, WhenRegistryUnreachable,
};
use keyline_station::registry::{PinEventKind, Registry};
use keyline_station::stop::Stop;
use keyline_virtual_unit::sim::{SimOptions, SimUnit};

use crate::common::{Bench, Told, product};

pub(crate) const ORIGIN: &str = "test.example/line-1";

/// Slots that fill an outbox side by side.
const SLOTS: u16 = 16;

/// A product whose line goes on while the registry is away.
pub(crate) fn holding() -> Product {
    Product {
        when_registry_unreachable: WhenRegistryUnreachable::Hold,
        ..product()
    }
}

/// A station that holds.
pub(crate) struct Held {
    pub(crate) bench: Bench,
}

impl Held {
    /// A station without a link to its registry.
    pub(crate) fn away() -> Self {
        let bench = Bench::for_product(holding());
        bench.runtime.block_on(bench.registry.clone().close());
        Self { bench }
    }

    /// And with so many units on hold.
    pub(crate) fn units(count: u32) -> Self {
        let mut held = Self::away();
        held.bench.another_order(|order| order.quantity = count);
        let told = Arc::new(Told::default());
        let line = held.bench.line(told.clone(), Stop::new());
        let slots = (0..SLOTS).map(|slot| Slot {
            number: slot + 1,
            source: Box::new(Stack::new(slot, held.bench.image.clone())),
        });
        let (summary, result) = provision(&line, slots.collect(), count, None);
        assert!(result.is_ok(), "{result:?}");
        assert_eq!(summary.held, u64::from(count), "{summary:?}");
        assert_eq!(held.outbox().units, u64::from(count));
        held
    }

    /// The link to the registry in the home is back.
    pub(crate) fn link_is_back(&mut self) {
        let url = format!("sqlite:{}", self.path("registry.db"));
        self.connect(&url);
    }

    pub(crate) fn connect(&mut self, url: &str) {
        let connected = Registry::connect(url);
        self.bench.registry = self.bench.runtime.block_on(connected).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.bench.home.path().join(name).display().to_string()
    }

    pub(crate) fn outbox(&self) -> Outbox {
        self.bench
            .runtime
            .block_on(self.bench.journal.outbox())
            .unwrap()
    }

    /// Enters what is held, and gives what was told of each unit.
    pub(crate) fn sync(&self) -> (Report, Vec<UnitEvent>) {
        self.sync_within(Duration::ZERO)
    }

    pub(crate) fn sync_within(&self, patience: Duration) -> (Report, Vec<UnitEvent>) {
        let told = Arc::new(Told::default());
        let bench = &self.bench;
        let synchroniser =
            Synchroniser::new(bench.journal.clone(), bench.registry.clone(), told.clone());
        let report = bench
            .runtime
            .block_on(synchroniser.run(patience, &Stop::new()))
            .unwrap();
        (report, told.ended())
    }

    pub(crate) fn state(&self, unit: &SimUnit) -> UnitState {
        let device_id = DeviceIdText(unit.device_id());
        let unit = self.bench.journal.unit(device_id);
        self.bench.runtime.block_on(unit).unwrap().unwrap().state
    }

    /// What befell a unit outside of its runs' steps.
    pub(crate) fn events(&self, unit: &SimUnit) -> Vec<Alarm> {
        let events = self
            .bench
            .journal
            .unit_events(DeviceIdText(unit.device_id()));
        self.bench.runtime.block_on(events).unwrap()
    }

    /// Does to the journal what a thief with a shell could, while nobody owns it.
    pub(crate) fn tamper(&mut self, sql: &str) {
        use sqlx::{ConnectOptions as _, Connection as _};
        self.bench.runtime.block_on(async {
            self.bench.journal.clone().close().await.unwrap();
            let mut connection = sqlx::sqlite::SqliteConnectOptions::new()
                .filename(self.bench.home.path().join("journal.db"))
                .foreign_keys(false)
                .connect()
                .await
                .unwrap();
            let sql = sqlx::AssertSqlSafe(sql.to_owned());
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        });
        self.reopen();
    }

    /// The journal as it is on disk, opened anew.
    pub(crate) fn reopen(&mut self) {
        let key = self.bench.home.path().join("audit.pem");
        let signer = CheckpointSigner::File(FileSigner::open(&key).unwrap());
        let path = self.bench.home.path().join("journal.db");
        let opened = Journal::open(&path, signer, ORIGIN);
        self.bench.journal = self.bench.runtime.block_on(opened).unwrap();
    }

    /// Every unit of the order passed and is trusted by one pin, entered once; nothing waits; the counts and the log are whole.
    pub(crate) fn assert_all_released(&self, order: OrderId, units: u32) {
        let bench = &self.bench;
        bench.runtime.block_on(assert_all_released(
            &bench.journal,
            &bench.registry,
            order,
            units,
        ));
        self.assert_verifies();
    }

    /// The deep verification finds nothing that is wrong, and nothing open but the log's own checkpoints, which nobody was shown.
    pub(crate) fn assert_verifies(&self) {
        let open = self.findings(Severity::Gap);
        let wrong = self.findings(Severity::Violation);
        assert!(wrong.is_empty(), "{wrong:#?}");
        let open: Vec<_> = open
            .iter()
            .filter(|finding| !finding.code.contains("checkpoint") && !finding.code.contains("log"))
            .collect();
        assert!(open.is_empty(), "{open:#?}");
    }

    pub(crate) fn findings(&self, severity: Severity) -> Vec<Finding> {
        let bench = &self.bench;
        let keys = bench.journal.verifier_keys();
        let inputs = Inputs {
            journal: &bench.journal,
            keys: &keys,
            origin: ORIGIN,
            station: bench.station,
            registry: Some(&bench.registry),
            known: &[],
            scope: Scope::Everything,
            scratch: None,
        };
        let mut findings = Vec::new();
        bench
            .runtime
            .block_on(deep(inputs, &mut |finding| findings.push(finding)))
            .unwrap();
        findings.retain(|finding| finding.severity == severity);
        findings
    }
}

/// Every unit of the order passed and is trusted by one pin, entered once; nothing waits; the counts are whole.
pub(crate) async fn assert_all_released(
    journal: &JournalReader,
    registry: &Registry,
    order: OrderId,
    count: u32,
) {
    let counts = journal.order_counts(order).await.unwrap().unwrap();
    assert_eq!((counts.passed, counts.held, counts.failed), (count, 0, 0));
    assert_eq!(journal.outbox().await.unwrap().runs, 0, "nothing waits");
    let mut filter = keyline_station::journal::UnitFilter {
        order: Some(order),
        ..Default::default()
    };
    let mut seen = HashSet::new();
    loop {
        let page = journal.units(&filter, 1_000).await.unwrap();
        let Some(last) = page.last() else { break };
        filter.after = Some(last.device_id);
        for unit in page {
            assert_eq!(unit.state, UnitState::Passed, "{}", unit.device_id.0);
            let history = registry.history(unit.device_id).await.unwrap();
            let kinds: Vec<_> = history.iter().map(|event| event.kind).collect();
            assert_eq!(
                kinds,
                [PinEventKind::Claimed, PinEventKind::Pinned],
                "entered once: {}",
                unit.device_id.0
            );
            let events = journal.unit_events(unit.device_id).await.unwrap();
            let kinds: Vec<_> = events.iter().map(|event| event.kind.as_str()).collect();
            assert_eq!(
                kinds,
                ["held-released"],
                "released once: {}",
                unit.device_id.0
            );
            seen.insert(unit.device_id);
        }
    }
    assert_eq!(seen.len(), count as usize, "none is lost");
}

/// Fresh simulated units, one after the other.
pub(crate) struct Stack {
    slot: u16,
    next: u32,
    image: AgentImage,
}

impl Stack {
    pub(crate) const fn new(slot: u16, image: AgentImage) -> Self {
        Self {
            slot,
            next: 0,
            image,
        }
    }
}

impl UnitSource for Stack {
    fn next(&mut self, _: &Stop) -> Option<Presented> {
        self.next += 1;
        let seed = u64::from(self.slot) << 32 | u64::from(self.next);
        let mut options = SimOptions::seeded(
            Platform::Nrf51822,
            (self.next, u32::from(self.slot) + 0x0d00),
            seed,
        );
        options.image = Arc::from(self.image.bytes.as_slice());
        Some(Presented {
            target: Box::new(SimTarget::new(SimUnit::new(options))),
            serial: None,
        })
    }

    fn ended(&mut self, _: Option<DeviceId>) {}
}

/// The runs that were told of.
pub(crate) fn run_ids(events: &[UnitEvent]) -> Vec<RunId> {
    events.iter().filter_map(|event| event.run).collect()
}
