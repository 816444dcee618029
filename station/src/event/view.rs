//! Records as the outside sees them: names instead of codes, fingerprints beside keys, times in milliseconds since 1970.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::home::LogKeyConfig;
use crate::record::{
    AlgorithmName, DeviceIdText, Evidence, Failure, KeyPolicyName, LockPolicyName, Order, OrderId,
    Pin, PlatformName, Product, ProductId, Run, RunId, RunResult, Step, StepPhase, UnitState,
    WhenRegistryUnreachable,
};
use crate::registry::{PinEvent, RegistryStatus, SerialUse};

/// A product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductView {
    /// Its id.
    pub id: ProductId,
    /// Its name.
    pub name: String,
    /// For whom it is built.
    pub customer: String,
    /// The chip.
    pub platform: PlatformName,
    /// Where the device key comes from.
    pub key_policy: KeyPolicyName,
    /// The device key's algorithm.
    pub algorithm: AlgorithmName,
    /// How far a finished unit is closed.
    pub lock_policy: LockPolicyName,
    /// The cloud's public key, SPKI DER.
    #[serde(with = "hex::serde")]
    pub cloud_key: Vec<u8>,
    /// SHA-256 of it.
    #[serde(with = "hex::serde")]
    pub cloud_key_fingerprint: [u8; 32],
    /// `HOST:PORT`.
    pub cloud_address: String,
    /// Whether units get network credentials. Neither they nor their file is shown.
    pub has_credentials: bool,
    /// What the line does while the registry can't be reached.
    pub when_registry_unreachable: WhenRegistryUnreachable,
    /// What a serial number looks like.
    pub serial_format: Option<String>,
    /// When it was added.
    pub added_at_ms: u64,
    /// When it was retired.
    pub retired_at_ms: Option<u64>,
}

impl From<&Product> for ProductView {
    fn from(product: &Product) -> Self {
        Self {
            id: product.id,
            name: product.name.clone(),
            customer: product.customer.clone(),
            platform: PlatformName(product.platform),
            key_policy: KeyPolicyName(product.key_policy),
            algorithm: AlgorithmName(product.algorithm),
            lock_policy: LockPolicyName(product.lock_policy),
            cloud_key: product.cloud_key.clone(),
            cloud_key_fingerprint: product.cloud_key_fingerprint(),
            cloud_address: product.cloud_address.clone(),
            has_credentials: product.credentials_file.is_some(),
            when_registry_unreachable: product.when_registry_unreachable,
            serial_format: product.serial_format.clone(),
            added_at_ms: product.added_at_ms,
            retired_at_ms: product.retired_at_ms,
        }
    }
}

/// A work order and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderView {
    /// The order.
    #[serde(flatten)]
    pub order: Order,
    /// The product's name.
    pub product_name: String,
    /// Units that passed.
    pub passed: u64,
    /// Units that passed with a weak proof.
    pub weak: u64,
    /// Units that are held.
    pub held: u64,
    /// Runs that failed.
    pub failed: u64,
    /// Units that left the building, where one order was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub shipped: Option<u64>,
}

/// A step of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepView {
    /// The step.
    pub step: Step,
    /// About to have its effect, or done.
    pub phase: StepPhase,
    /// When.
    pub at_ms: u64,
    /// What it left behind.
    pub evidence: Option<Evidence>,
}

/// A run and its steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunView {
    /// Its id.
    pub id: RunId,
    /// The work order.
    pub order: OrderId,
    /// The fixture position.
    pub slot: u16,
    /// The last step that was reached.
    pub reached: Option<Step>,
    /// How it ended; `None` while it is running or was interrupted.
    pub result: Option<RunResult>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// When it began.
    pub started_at_ms: u64,
    /// When it ended.
    pub ended_at_ms: Option<u64>,
    /// Its steps, oldest first; empty in a list.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub steps: Vec<StepView>,
}

impl RunView {
    /// A run with its steps.
    #[must_use]
    pub fn new(run: &Run, steps: Vec<StepView>) -> Self {
        Self {
            id: run.id,
            order: run.order,
            slot: run.slot,
            reached: run.reached,
            result: run.result,
            failure: run.failure.clone(),
            started_at_ms: run.started_at_ms,
            ended_at_ms: run.ended_at_ms,
            steps,
        }
    }
}

/// A unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitView {
    /// The unit.
    pub device_id: DeviceIdText,
    /// Its serial number.
    pub serial: Option<String>,
    /// What the station knows of it.
    pub state: UnitState,
    /// The work order of its last run.
    pub order: Option<OrderId>,
    /// That order's name.
    pub order_name: Option<String>,
    /// Why it failed or was set apart.
    pub failure: Option<Failure>,
    /// The leaf that says that it left the building, where one unit was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub shipped_at: Option<u64>,
    /// Its last run, where one unit was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_run: Option<RunView>,
}

/// A pin or claim in the registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinView {
    /// As the registry has it.
    #[serde(flatten)]
    pub pin: Pin,
    /// What happened to the device's keys, oldest first; with the device's last key only.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub history: Vec<PinEvent>,
}

/// A serial of a product, with the units that it names and named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SerialView {
    /// The product's name.
    pub product: String,
    /// The serial.
    pub serial: String,
    /// The uses as the registry has them, the oldest first. At most the last one lives.
    pub uses: Vec<SerialUse>,
}

/// An export that was handed out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportView {
    /// The directory.
    pub out: PathBuf,
    /// `units` or `leaves`.
    pub rows: String,
    /// What was asked for, as the manifest has it.
    pub filter: String,
    /// The data files; they are inside of the sealed file where there is one.
    pub files: Vec<ExportFileView>,
    /// How many leaves the checkpoint covers that the data was read under.
    pub tree_size: u64,
    /// SHA-256 of the manifest.
    #[serde(with = "hex::serde")]
    pub manifest_digest: [u8; 32],
    /// The index of the export's own leaf in the audit log.
    pub leaf: u64,
    /// SHA-256 of the public key that it is sealed to, in hexadecimal.
    pub sealed_to: Option<String>,
    /// The command that opens it, where it is sealed.
    pub open_command: Option<String>,
}

/// What became of a fleet's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportView {
    /// The file.
    pub path: PathBuf,
    /// Nothing was to be changed: `imported` are the rows that are in order.
    pub dry_run: bool,
    /// Every row was read.
    pub finished: bool,
    /// Rows that were read.
    pub rows: u64,
    /// Of these, new.
    pub imported: u64,
    /// Of these, in before.
    pub already: u64,
    /// Of these, refused.
    pub refused: u64,
    /// The report of the refused rows.
    pub report: Option<PathBuf>,
}

/// A registry's database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryView {
    /// Its address, without secrets.
    pub address: String,
    /// What it said of itself.
    #[serde(flatten)]
    pub status: RegistryStatus,
    /// The schema that it had before it was brought up to date, 0 for none; `None` where it was only looked at.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub schema_before: Option<i64>,
}

/// A data file of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportFileView {
    /// Its name.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its rows, without a header.
    pub rows: u64,
    /// SHA-256 of its content.
    #[serde(with = "hex::serde")]
    pub digest: [u8; 32],
}

/// Whether a unit may leave the building.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShipmentView {
    /// The unit.
    pub device_id: DeviceIdText,
    /// Its serial number.
    pub serial: Option<String>,
    /// What the station knows of it.
    pub state: UnitState,
    /// Whether it leaves.
    pub ships: bool,
    /// Why it stays.
    pub why: Option<String>,
}

/// What became of the verification of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictView {
    /// The file or directory.
    pub path: PathBuf,
    /// `dossier`, `proof`, `export`, `report` or `station`.
    pub what: String,
    /// The unit, leaf or log that it is about.
    pub subject: String,
    /// What it says of its subject, such as `passed`.
    pub result: String,
    /// Whether all of it holds.
    pub holds: bool,
    /// The checks, in their order.
    pub checks: Vec<CheckResult>,
}

/// A witness's store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessView {
    /// Its name.
    pub name: String,
    /// Its verifier key, `NAME+KEYID+KEY`: what stations and auditors are given.
    pub key: String,
    /// The logs that it knows.
    pub logs: Vec<WitnessLogView>,
    /// How many notes it keeps as evidence against logs.
    pub evidence: usize,
}

/// A log as a witness knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessLogView {
    /// Its origin.
    pub origin: String,
    /// The verifier keys that may sign for it.
    pub keys: Vec<String>,
    /// The size of the latest checkpoint that was cosigned; 0 for none.
    pub size: u64,
    /// Its root in hexadecimal; `None` where none was cosigned.
    pub root: Option<String>,
    /// When it was cosigned, in milliseconds since 1970.
    pub cosigned_at_ms: Option<u64>,
}

/// What a key of the audit log does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogKeyState {
    /// The configuration names it, but the log does not know it: it signs nothing.
    Configured,
    /// It signs every checkpoint.
    InForce,
    /// It signed, and never will again.
    Retired,
}

/// A key of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogKeyView {
    /// Eight hexadecimal digits, as in a checkpoint's signature line.
    pub key_id: String,
    /// The verifier key: what auditors are given.
    pub key: String,
    /// What it does.
    pub state: LogKeyState,
    /// Where it is; `None` where the configuration does not name it any more.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub place: Option<LogKeyConfig>,
    /// The index of the leaf that added it; `None` for the key that the log began with.
    pub added_at: Option<u64>,
    /// The index of the leaf that retired it.
    pub retired_at: Option<u64>,
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckState {
    /// As it should be.
    Ok,
    /// The line can run, but somebody should look at it.
    Warn,
    /// The line can't run.
    Fail,
}

/// One of the doctor's checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// What was checked: a stable name.
    pub check: String,
    /// How it came out.
    pub state: CheckState,
    /// What was found.
    pub found: String,
    /// What to do; empty where nothing is to be done.
    pub next: String,
}
