//! A station on which everything has happened that can happen, and copies of it to tamper with.

use std::fs;
use std::path::PathBuf;

use keyline_protocol::identity::{LockPolicy, Platform};
use keyline_station::audit::{Checkpoint, CheckpointSigner, FileSigner, VerifierKey};
use keyline_station::clock;
use keyline_station::journal::{Journal, JournalReader, Operator};
use keyline_station::link::SimTarget;
use keyline_station::record::{
    Change, DeviceIdText, Evidence, Product, RunId, StationId, Step, UnitState,
    WhenRegistryUnreachable,
};
use keyline_station::registry::{LogCheckpoint, Registry, Revocation};
use keyline_virtual_unit::sim::{Direction, FrameFaultKind, GeneratorFault, SimOptions, SimUnit};
use tempfile::TempDir;

use crate::common::{Bench, product, unit};

pub(crate) const ORIGIN: &str = "test.example/line-1";

/// A station that nobody writes to any more: its files, and how to verify them.
pub(crate) struct Station {
    pub(crate) home: TempDir,
    pub(crate) id: StationId,
}

impl Station {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn signer(&self) -> CheckpointSigner {
        CheckpointSigner::File(FileSigner::open(&self.path("audit.pem")).unwrap())
    }

    pub(crate) fn key(&self) -> VerifierKey {
        self.signer().verifier_key(ORIGIN).unwrap()
    }

    pub(crate) async fn reader(&self) -> JournalReader {
        JournalReader::open(&self.path("journal.db")).await.unwrap()
    }

    pub(crate) async fn registry(&self) -> Registry {
        let url = format!("sqlite:{}", self.path("registry.db").display());
        Registry::connect(&url).await.unwrap()
    }

    /// The same files in another place.
    pub(crate) fn copy(&self) -> Self {
        let home = tempfile::tempdir().unwrap();
        for file in ["journal.db", "registry.db", "audit.pem"] {
            fs::copy(self.path(file), home.path().join(file)).unwrap();
        }
        Self { home, id: self.id }
    }

    /// Does to a database what a thief with a shell could.
    pub(crate) async fn tamper(&self, database: &str, sql: &str) {
        use sqlx::{ConnectOptions as _, Connection as _};
        let mut connection = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(self.path(database))
            .foreign_keys(false)
            .connect()
            .await
            .unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))
            .execute(&mut connection)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        connection.close().await.unwrap();
    }

    /// One value of a database.
    pub(crate) async fn number(&self, database: &str, sql: &str) -> i64 {
        use sqlx::ConnectOptions as _;
        let mut connection = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(self.path(database))
            .connect()
            .await
            .unwrap();
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned()))
            .fetch_one(&mut connection)
            .await
            .unwrap()
    }

    /// Shows the journal's latest checkpoint to its registry.
    pub(crate) async fn show_checkpoint(&self, registry: &Registry) {
        let journal = Journal::open(&self.path("journal.db"), self.signer(), ORIGIN)
            .await
            .unwrap();
        show(registry, &journal.checkpoint(), self.id).await;
        journal.close().await.unwrap();
    }
}

pub(crate) async fn show(registry: &Registry, note: &str, station: StationId) {
    let text = keyline_station::audit::SignedNote::parse(note)
        .unwrap()
        .text;
    let checkpoint = Checkpoint::parse(&text).unwrap();
    let shown = LogCheckpoint {
        origin: checkpoint.origin,
        station,
        size: checkpoint.size,
        root: checkpoint.root,
        note: note.to_owned(),
    };
    registry.enter_checkpoint(shown).await.unwrap();
}

fn special(number: u32, change: impl FnOnce(&mut SimOptions)) -> SimUnit {
    let mut options = SimOptions::seeded(Platform::Nrf51822, (number, 0x4b4c), u64::from(number));
    change(&mut options);
    SimUnit::new(options)
}

fn operator(id: &str, role: &str) -> Operator {
    Operator {
        id: id.to_owned(),
        name: format!("name of {id}"),
        role: role.to_owned(),
        token_sha256: rand::random(),
        added_at_ms: clock::wall_ms(),
    }
}

/// Goes through the story, and gives the files at its end.
pub(crate) fn told() -> Station {
    let mut bench = begun();
    some_units(&bench);
    bench = restarted(bench);
    stopped_in_the_middle(&bench);
    bench = restarted(bench);
    held(&mut bench);
    reworked(&mut bench);
    show_latest(&bench);
    closed(bench)
}

/// A station with a product, an order and operators.
pub(crate) fn begun() -> Bench {
    let bench = Bench::for_product(Product {
        when_registry_unreachable: WhenRegistryUnreachable::Hold,
        lock_policy: LockPolicy::Open,
        serial_format: None,
        ..product()
    });
    bench.commit(vec![Change::HomeInitialised {
        station: bench.station,
    }]);
    for (id, role) in [("op-1", "administrator"), ("op-2", "technician")] {
        let added = bench.journal.add_operator(operator(id, role));
        bench.runtime.block_on(added).unwrap();
    }
    let retired = Product {
        id: keyline_station::record::ProductId::generate(),
        name: "old thermostat".to_owned(),
        ..bench.product.clone()
    };
    let id = retired.id;
    bench.commit(vec![Change::ProductAdded {
        product: retired,
        operator: "op-1".to_owned(),
    }]);
    bench.commit(vec![Change::ProductRetired {
        product: id,
        operator: "op-1".to_owned(),
    }]);
    bench
}

/// Units that passed, failed, were set apart, scrapped, cloned, and got a second key.
fn some_units(bench: &Bench) {
    let whole = unit(Platform::Nrf51822, 1);
    assert_eq!(bench.run(&whole).state, UnitState::Passed);
    let (frames, _) = whole.frame_counts();
    for number in 2..=3 {
        let event = bench.run_target(
            Box::new(SimTarget::new(unit(Platform::Nrf51822, number))),
            Some(&format!("serial-{number}")),
        );
        assert_eq!(event.state, UnitState::Passed, "{:?}", event.error);
    }
    // It comes back: nothing is written again.
    assert!(bench.run(&whole).already);
    show_latest(bench);

    let failing = unit(Platform::Nrf51822, 4);
    failing.fault(Direction::ToUnit, 2, FrameFaultKind::PullCable);
    assert_eq!(bench.run(&failing).state, UnitState::Failed);
    bench.commit(vec![Change::UnitScrapped {
        device_id: DeviceIdText(failing.device_id()),
        operator: "op-1".to_owned(),
        reason: "it fell".to_owned(),
    }]);

    let stuck = special(5, |options| {
        options.generator = GeneratorFault::Stuck(0xa5);
    });
    assert_eq!(bench.run(&stuck).state, UnitState::Quarantined);

    // A copied flash, and a second key under a known name.
    let clone = SimUnit::with_flash_of(&whole, SimOptions::seeded(Platform::Nrf51822, (6, 6), 6));
    assert_eq!(bench.run(&clone).state, UnitState::Quarantined);
    let second = unit(Platform::Nrf51822, 7);
    assert_eq!(bench.run(&second).state, UnitState::Passed);
    let impostor = SimUnit::new(SimOptions::seeded(Platform::Nrf51822, (7, 0x4b4c), 99));
    assert_eq!(bench.run(&impostor).state, UnitState::Quarantined);

    // Claimed, never proven, erased: the first key is burnt.
    let lost = unit(Platform::Nrf51822, 8);
    lost.fault(Direction::ToUnit, frames - 1, FrameFaultKind::PullCable);
    assert_eq!(bench.run(&lost).state, UnitState::Failed);
    let erased = SimUnit::new(SimOptions::seeded(Platform::Nrf51822, (8, 0x4b4c), 1234));
    assert_eq!(bench.run(&erased).state, UnitState::Passed);

    // Claimed, never proven, and left there.
    let left = unit(Platform::Nrf51822, 9);
    left.fault(Direction::ToUnit, frames - 1, FrameFaultKind::PullCable);
    assert_eq!(bench.run(&left).state, UnitState::Failed);
}

/// A run that has no end, and one whose unit a later run takes over.
fn stopped_in_the_middle(bench: &Bench) {
    for number in [20, 21] {
        let device_id = DeviceIdText(unit(Platform::Nrf51822, number).device_id());
        let run = RunId::generate();
        bench.commit(vec![Change::RunStarted {
            run,
            order: bench.order.id,
            slot: 2,
            serial: None,
            operator: "op-2".to_owned(),
        }]);
        let attached = Evidence::Attached {
            link: "sim".to_owned(),
            probe: None,
        };
        bench.commit(vec![
            Change::StepDone {
                run,
                device_id: Some(device_id),
                step: Step::Attached,
                evidence: Box::new(attached),
            },
            Change::StepIntended {
                run,
                device_id: Some(device_id),
                step: Step::Identified,
            },
        ]);
    }
}

/// A unit that was finished while the registry was away, and one that passed when it was back.
fn held(bench: &mut Bench) {
    bench.runtime.block_on(bench.registry.clone().close());
    let (waits, comes_back) = (unit(Platform::Nrf51822, 30), unit(Platform::Nrf51822, 31));
    assert_eq!(bench.run(&waits).state, UnitState::Held);
    assert_eq!(bench.run(&comes_back).state, UnitState::Held);
    let url = format!("sqlite:{}", bench.home.path().join("registry.db").display());
    bench.registry = bench.runtime.block_on(Registry::connect(&url)).unwrap();
    assert_eq!(bench.run(&comes_back).state, UnitState::Passed);
    assert_eq!(
        bench.run(&unit(Platform::Nrf51822, 21)).state,
        UnitState::Passed
    );
}

/// A unit whose key is revoked and that gets another one.
fn reworked(bench: &mut Bench) {
    let device_id = DeviceIdText(unit(Platform::Nrf51822, 2).device_id());
    bench.commit(vec![Change::UnitReleased {
        device_id,
        operator: "op-1".to_owned(),
        reason: "rework: new board".to_owned(),
    }]);
    bench
        .runtime
        .block_on(bench.registry.revoke(Revocation {
            device_id,
            station: bench.station,
            operator: "op-1".to_owned(),
            reason: "new board".to_owned(),
        }))
        .unwrap();
    bench.commit(vec![Change::OrderClosed {
        order: bench.order.id,
        operator: "op-1".to_owned(),
    }]);
    bench.another_order(|order| order.rework = true);
    let erased = SimUnit::new(SimOptions::seeded(Platform::Nrf51822, (2, 0x4b4c), 4321));
    let event = bench.run(&erased);
    assert_eq!(event.state, UnitState::Passed, "{:?}", event.error);
}

fn show_latest(bench: &Bench) {
    let note = bench.journal.checkpoint();
    bench
        .runtime
        .block_on(show(&bench.registry, &note, bench.station));
}

/// The process ends and another one begins.
pub(crate) fn restarted(bench: Bench) -> Bench {
    let mut bench = bench;
    let journal = bench.journal.clone();
    bench.journal = bench.runtime.block_on(async {
        journal.commit(vec![Change::Stopped]).await.unwrap();
        journal.close().await.unwrap();
        let signer = FileSigner::open(&bench.home.path().join("audit.pem")).unwrap();
        let path = bench.home.path().join("journal.db");
        Journal::open(&path, CheckpointSigner::File(signer), ORIGIN)
            .await
            .unwrap()
    });
    bench.commit(vec![Change::Started {
        version: "0.1.0".to_owned(),
        boot_id: String::new(),
        interrupted_runs: 0,
        configuration: String::new(),
    }]);
    bench
}

/// The files of a station that has stopped.
pub(crate) fn closed(bench: Bench) -> Station {
    let Bench {
        home,
        runtime,
        journal,
        registry,
        station,
        ..
    } = bench;
    runtime.block_on(async {
        registry.close().await;
        journal.close().await.unwrap();
    });
    Station { home, id: station }
}
