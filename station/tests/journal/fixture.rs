//! A journal in a temporary home, and the changes that tests make of it.

use std::path::PathBuf;

use keyline_protocol::identity::{Algorithm, DeviceId, KeyPolicy, LockPolicy, Platform};
use keyline_station::audit::{CheckpointSigner, FileSigner};
use keyline_station::journal::{Journal, JournalError, Unit};
use keyline_station::record::{
    Change, DeviceIdText, Evidence, Failure, FailureCode, Order, OrderId, OrderState, Product,
    ProductId, RunId, RunResult, Step, WhenRegistryUnreachable,
};
use tempfile::TempDir;

pub(crate) const ORIGIN: &str = "factory.example/station-7";
pub(crate) const OPERATOR: &str = "5f0c7a1e";

/// A home with a journal in it.
pub(crate) struct Home {
    directory: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        FileSigner::generate(&directory.path().join("audit.pem")).unwrap();
        Self { directory }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("journal.db")
    }

    pub(crate) fn signer(&self) -> CheckpointSigner {
        let path = self.directory.path().join("audit.pem");
        CheckpointSigner::File(FileSigner::open(&path).unwrap())
    }

    pub(crate) async fn open(&self) -> Journal {
        self.try_open().await.unwrap()
    }

    pub(crate) async fn try_open(&self) -> Result<Journal, JournalError> {
        Journal::open(&self.path(), self.signer(), ORIGIN).await
    }

    /// The bodies and leaves of all entries, as text.
    pub(crate) async fn entries(&self) -> Vec<String> {
        use sqlx::ConnectOptions as _;
        let mut connection = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(self.path())
            .connect()
            .await
            .unwrap();
        sqlx::query_scalar("SELECT body || hex(leaf) FROM entry ORDER BY leaf_index")
            .fetch_all(&mut connection)
            .await
            .unwrap()
    }

    /// Does to the database what a thief with a shell could.
    pub(crate) async fn tamper(&self, sql: &'static str) {
        use sqlx::{ConnectOptions as _, Connection as _};
        let mut connection = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(self.path())
            .foreign_keys(false)
            .connect()
            .await
            .unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}

pub(crate) fn product(name: &str) -> Product {
    Product {
        id: ProductId::generate(),
        name: name.to_owned(),
        customer: "acme".to_owned(),
        platform: Platform::Nrf51822,
        key_policy: KeyPolicy::OnDevice,
        algorithm: Algorithm::P256,
        lock_policy: LockPolicy::Sealed,
        cloud_key: vec![7; 91],
        cloud_address: "cloud.example:8883".to_owned(),
        authority_key: None,
        credentials_file: None,
        when_registry_unreachable: WhenRegistryUnreachable::Stop,
        serial_format: None,
        added_at_ms: 1,
        retired_at_ms: None,
    }
}

pub(crate) fn order(name: &str, product: ProductId, quantity: u32) -> Order {
    Order {
        id: OrderId::generate(),
        name: name.to_owned(),
        product,
        quantity,
        rework: false,
        agent_digest: [3; 32],
        state: OrderState::Open,
        added_at_ms: 1,
    }
}

pub(crate) fn device(n: u32) -> DeviceIdText {
    DeviceIdText(DeviceId::from_words(Platform::Nrf51822, n, 0))
}

pub(crate) fn failure(code: FailureCode) -> Failure {
    Failure::new(code, "it did not work")
}

/// Adds a product and an order of it.
pub(crate) async fn with_order(journal: &Journal, quantity: u32) -> (ProductId, OrderId) {
    let product = product("sensor");
    let order = order("WO-1", product.id, quantity);
    let ids = (product.id, order.id);
    journal
        .commit(vec![add_product(product), add_order(order)])
        .await
        .unwrap();
    ids
}

pub(crate) fn add_product(product: Product) -> Change {
    Change::ProductAdded {
        product,
        operator: OPERATOR.to_owned(),
    }
}

pub(crate) fn add_order(order: Order) -> Change {
    Change::OrderAdded {
        order,
        operator: OPERATOR.to_owned(),
    }
}

pub(crate) fn start(order: OrderId, serial: Option<&str>) -> (RunId, Change) {
    let run = RunId::generate();
    let change = Change::RunStarted {
        run,
        order,
        slot: 1,
        serial: serial.map(str::to_owned),
        operator: OPERATOR.to_owned(),
    };
    (run, change)
}

pub(crate) fn intend(run: RunId, device_id: DeviceIdText, step: Step) -> Change {
    Change::StepIntended {
        run,
        device_id: Some(device_id),
        step,
    }
}

/// A step was done. What its evidence says does not matter to the journal.
pub(crate) fn done(run: RunId, device_id: DeviceIdText, step: Step) -> Change {
    Change::StepDone {
        run,
        device_id: Some(device_id),
        step,
        evidence: Box::new(Evidence::Sealed { already: false }),
    }
}

pub(crate) fn end(run: RunId, device_id: Option<DeviceIdText>, result: RunResult) -> Change {
    let failed = result == RunResult::Failed;
    Change::RunEnded {
        run,
        device_id,
        result,
        failure: failed.then(|| failure(FailureCode::FlashFault)),
        elapsed_ms: 10,
    }
}

/// A whole run in one commit.
pub(crate) async fn run(
    journal: &Journal,
    order: OrderId,
    unit: u32,
    result: RunResult,
) -> Result<RunId, JournalError> {
    let (run, started) = start(order, None);
    let unit = device(unit);
    let changes = vec![
        started,
        done(run, unit, Step::Identified),
        intend(run, unit, Step::Keyed),
        done(run, unit, Step::Keyed),
        end(run, Some(unit), result),
    ];
    journal.commit(changes).await.map(|_| run)
}

pub(crate) async fn unit(journal: &Journal, n: u32) -> Unit {
    journal.unit(device(n)).await.unwrap().unwrap()
}

/// The whole invariant: the log is consistent with its checkpoint, and what the tables say is what a fresh reading of it says.
pub(crate) async fn check(journal: &Journal) -> u64 {
    let keys = journal.verifier_keys();
    journal.verify_log(&keys).await.unwrap()
}
