//! What a person or script asked for, checked and complete: it can be carried out here, or travel over the home's socket to the
//! process that owns the home. Files named on the command line have been read, relative paths made absolute.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::CloudKeyUnitsRequest;
use crate::authority::{ActKind, Possession};
use crate::cloud_key::{CloudAddress, CloudKey};
use crate::export::{Filter, Format, Rows};
use crate::fleet::{FleetFormat, KeyForm};
use crate::operator::Permission;
use crate::record::{
    AlgorithmName, KeyPolicyName, LockPolicyName, Name, OrderState, PlatformName, StationId,
    UnitState, WhenRegistryUnreachable,
};
use crate::seal::Recipient;

/// One command on an open home.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Are you there?
    Ping,
    /// `product add`
    ProductAdd(Box<ProductDraft>),
    /// `product add --bundle`
    ProductAddBundle(Box<ProductBundleRequest>),
    /// `authority install`
    AuthorityInstall {
        /// A signed roster or enrolment.
        note: String,
    },
    /// `authority publish`
    AuthorityPublish {
        /// A root policy or a bundle, signed.
        note: String,
    },
    /// `authority fetch`
    AuthorityFetch,
    /// `authority replace-root`
    AuthorityReplaceRoot {
        /// A signed root policy.
        note: String,
    },
    /// `product list`
    ProductList {
        /// Retired ones too.
        all: bool,
    },
    /// `product show`
    ProductShow {
        /// Name or id.
        product: String,
    },
    /// `product retire`
    ProductRetire {
        /// Name or id.
        product: String,
    },
    /// `order add`
    OrderAdd {
        /// What people call it.
        name: Name,
        /// The product's name or id.
        product: String,
        /// How many units.
        quantity: u32,
        /// Known devices whose old pin is revoked may get a new key.
        rework: bool,
    },
    /// `order list`
    OrderList {
        /// Only those in this state.
        state: Option<OrderState>,
    },
    /// `order show`
    OrderShow {
        /// Name or id.
        order: String,
    },
    /// `order ship`
    OrderShip {
        /// Name or id.
        order: String,
        /// Only say what may leave, and record nothing.
        #[serde(default)]
        list: bool,
    },
    /// `order close`
    OrderClose {
        /// Name or id.
        order: String,
    },
    /// `provision`
    Provision(ProvisionRequest),
    /// `sync`: enter what is held.
    Sync {
        /// How long to wait for a registry out of reach, in seconds since a unit was last entered.
        wait_s: u64,
    },
    /// `unit list`
    UnitList {
        /// Only those of this order: name or id.
        order: Option<String>,
        /// Only those in this state.
        state: Option<UnitState>,
        /// At most so many.
        limit: u32,
    },
    /// `unit show`
    UnitShow {
        /// Device id or serial.
        unit: String,
    },
    /// `unit release`: out of quarantine.
    UnitRelease {
        /// Device id or serial.
        unit: String,
        /// Why.
        reason: String,
    },
    /// `unit scrap`: out for good.
    UnitScrap {
        /// Device id or serial.
        unit: String,
        /// Why.
        reason: String,
        /// The permissions given on the command line.
        permit: Vec<Permit>,
    },
    /// `unit rework`: revoke its pin, so that a rework order may give it a new key.
    UnitRework {
        /// Device id or serial.
        unit: String,
        /// Why.
        reason: String,
        /// The permissions given on the command line.
        permit: Vec<Permit>,
    },
    /// `station enroll`: a station may enter pins.
    StationEnroll {
        /// Its id.
        station: StationId,
        /// Its name.
        name: String,
        /// SHA-256 of its certificate.
        certificate: Option<[u8; 32]>,
    },
    /// `station list`
    StationList,
    /// `station retire`: a station enters nothing more.
    StationRetire {
        /// Its id.
        station: StationId,
        /// Who takes its place.
        successor: Option<StationId>,
        /// Why.
        reason: String,
        /// The permissions given on the command line.
        permit: Vec<Permit>,
    },
    /// `registry import`: devices that exist already.
    RegistryImport(Box<ImportRequest>),
    /// `registry export`
    RegistryExport(Box<FleetExportRequest>),
    /// `pin revoke`, `pin rotate`, `unit return`: writes the act that two people then sign.
    ActDraft(Box<ActDraft>),
    /// `pin revoke`, `pin rotate`, `unit return`: carries out what two people signed.
    ActCarryOut(Box<ActOrder>),
    /// `cloud-key list`
    CloudKeyList {
        /// Only those of this product.
        product: Option<Name>,
    },
    /// `cloud-key units`
    CloudKeyUnits(Box<CloudKeyUnitsRequest>),
    /// `pin show`
    PinShow {
        /// Device id, serial or key fingerprint.
        unit: String,
    },
    /// `audit export`
    AuditExport(Box<ExportRequest>),
    /// `audit key list`
    AuditKeyList,
    /// `audit key add`: a configured key signs from now on.
    AuditKeyAdd {
        /// Key id, label or file.
        key: String,
    },
    /// `audit key retire`: a key signs for the last time.
    AuditKeyRetire {
        /// Key id, label or file.
        key: String,
        /// Why.
        reason: String,
        /// The permissions given on the command line.
        permit: Vec<Permit>,
    },
}

impl Request {
    /// What the operator must be allowed to do; `None` for what only reads.
    #[must_use]
    pub const fn permission(&self) -> Option<Permission> {
        match self {
            Self::Ping
            | Self::ProductList { .. }
            | Self::ProductShow { .. }
            | Self::OrderList { .. }
            | Self::OrderShow { .. }
            | Self::UnitList { .. }
            | Self::UnitShow { .. }
            | Self::PinShow { .. }
            | Self::StationList
            | Self::CloudKeyList { .. }
            | Self::AuditKeyList => None,
            Self::CloudKeyUnits(request) => match request.out {
                Some(_) => Some(Permission::Export),
                None => None,
            },
            Self::ProductAdd(_) | Self::ProductAddBundle(_) | Self::ProductRetire { .. } => {
                Some(Permission::ManageProducts)
            }
            Self::AuthorityInstall { .. }
            | Self::AuthorityPublish { .. }
            | Self::AuthorityFetch
            | Self::AuthorityReplaceRoot { .. } => Some(Permission::ManageAuthority),
            Self::OrderAdd { .. } | Self::OrderShip { .. } | Self::OrderClose { .. } => {
                Some(Permission::ManageOrders)
            }
            Self::Provision(_) | Self::Sync { .. } => Some(Permission::Provision),
            Self::UnitRelease { .. } | Self::UnitScrap { .. } | Self::UnitRework { .. } => {
                Some(Permission::DecideUnits)
            }
            Self::AuditExport(_) | Self::RegistryExport(_) => Some(Permission::Export),
            Self::StationEnroll { .. } | Self::StationRetire { .. } => {
                Some(Permission::ManageStations)
            }
            Self::ActDraft(_) | Self::ActCarryOut(_) => Some(Permission::ManagePins),
            Self::RegistryImport(_) => Some(Permission::ImportFleets),
            Self::AuditKeyAdd { .. } | Self::AuditKeyRetire { .. } => {
                Some(Permission::ManageLogKeys)
            }
        }
    }
}

/// A destructive act that is allowed for this one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Permit {
    /// Take a unit out for good.
    Scrap,
    /// Revoke a pin: the cloud stops trusting the unit, and its key never returns.
    Revoke,
    /// Put another station in the place of this one, whose home is read-only afterwards.
    ReplaceStation,
    /// Retire a key of the audit log: it never signs again.
    RetireKey,
    /// Retire a station: the registry takes nothing more from it.
    RetireStation,
    /// Retire it though too few witnesses trust the one that stays.
    RetireKeyUnwitnessed,
}

/// A product to be added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductDraft {
    /// What people call it.
    pub name: Name,
    /// For whom it is built.
    pub customer: Name,
    /// The chip.
    pub platform: PlatformName,
    /// Where the device key comes from.
    pub key_policy: KeyPolicyName,
    /// The device key's algorithm.
    pub algorithm: AlgorithmName,
    /// How far a finished unit is closed.
    pub lock_policy: LockPolicyName,
    /// Whom the device trusts.
    pub cloud_key: CloudKey,
    /// Where it finds the cloud.
    pub cloud_address: CloudAddress,
    /// The key whose signature a sealed unit obeys: P-256.
    pub authority_key: Option<CloudKey>,
    /// The file with the network credentials, an absolute path.
    pub credentials_file: Option<PathBuf>,
    /// What the line does while the registry can't be reached.
    pub when_registry_unreachable: WhenRegistryUnreachable,
    /// What a serial number looks like.
    pub serial_format: Option<String>,
}

/// A signed product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductBundleRequest {
    /// The signed bundle.
    pub bundle: String,
    /// The file with the network credentials, an absolute path.
    pub credentials_file: Option<PathBuf>,
}

/// Units to be provisioned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvisionRequest {
    /// The work order's name or id.
    pub order: String,
    /// The slots that take part; empty for all in the configuration.
    pub slots: Vec<u16>,
    /// How many units in all; `None` for one in each slot.
    pub count: Option<u32>,
    /// The serial that was scanned; only with one slot.
    pub serial: Option<String>,
    /// Check probe, token, stores and policy, and write nothing.
    pub dry_run: bool,
    /// The same key gives the stored result; with a changed request it is refused.
    pub idempotency_key: Option<String>,
    /// The line stops after so many failed units.
    pub failures_max: Option<u32>,
}

/// Data to be taken away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportRequest {
    /// The directory to make, an absolute path.
    pub out: PathBuf,
    /// Which rows.
    pub filter: Filter,
    /// Rows of what.
    pub rows: Rows,
    /// The formats, each once.
    pub formats: Vec<Format>,
    /// Whose key it is sealed to.
    pub seal_to: Option<Recipient>,
}

/// An act that is to be written for two people to sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActDraft {
    /// What is to be done.
    pub kind: ActKind,
    /// Device id or serial.
    pub unit: String,
    /// The key that the unit gets, SPKI DER.
    pub new_key: Option<Vec<u8>>,
    /// Why.
    pub reason: String,
    /// The file to make, an absolute path.
    pub out: PathBuf,
}

/// An act that two people signed, to be carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActOrder {
    /// What is expected to be done.
    pub kind: ActKind,
    /// To which unit: device id or serial.
    pub unit: String,
    /// The signed act.
    pub note: String,
    /// The roster in which the two are.
    pub roster: Name,
    /// The new key, and that its holder has it.
    pub possession: Option<Possession>,
}

/// An import of devices that exist already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportRequest {
    /// The file, an absolute path.
    pub file: PathBuf,
    /// The format; `None` to see it from the file.
    pub format: Option<FleetFormat>,
    /// The product of rows that name none.
    pub product: Option<Name>,
    /// A new file for the refused rows, an absolute path.
    pub report: Option<PathBuf>,
    /// A file for how far the import is, an absolute path.
    pub state: Option<PathBuf>,
    /// Go on from that state.
    pub resume: bool,
}

/// An export of the registry's keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetExportRequest {
    /// The file to make, an absolute path.
    pub out: PathBuf,
    /// The format.
    pub format: FleetFormat,
    /// How keys are written.
    pub keys: KeyForm,
    /// Only devices that were imported as this product.
    pub product: Option<Name>,
    /// Keys that are not in force, too.
    pub all: bool,
}

impl Request {
    /// The command's name, as it stands in JSON and in logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::ProductAdd(_) => "product-add",
            Self::ProductAddBundle(_) => "product-add-bundle",
            Self::AuthorityInstall { .. } => "authority-install",
            Self::AuthorityPublish { .. } => "authority-publish",
            Self::AuthorityFetch => "authority-fetch",
            Self::AuthorityReplaceRoot { .. } => "authority-replace-root",
            Self::ProductList { .. } => "product-list",
            Self::ProductShow { .. } => "product-show",
            Self::ProductRetire { .. } => "product-retire",
            Self::OrderAdd { .. } => "order-add",
            Self::OrderList { .. } => "order-list",
            Self::OrderShow { .. } => "order-show",
            Self::OrderShip { .. } => "order-ship",
            Self::OrderClose { .. } => "order-close",
            Self::Provision(_) => "provision",
            Self::Sync { .. } => "sync",
            Self::UnitList { .. } => "unit-list",
            Self::UnitShow { .. } => "unit-show",
            Self::UnitRelease { .. } => "unit-release",
            Self::UnitScrap { .. } => "unit-scrap",
            Self::UnitRework { .. } => "unit-rework",
            Self::StationEnroll { .. } => "station-enroll",
            Self::StationList => "station-list",
            Self::StationRetire { .. } => "station-retire",
            Self::ActDraft(_) => "act-draft",
            Self::ActCarryOut(_) => "act-carry-out",
            Self::RegistryImport(_) => "registry-import",
            Self::RegistryExport(_) => "registry-export",
            Self::CloudKeyList { .. } => "cloud-key-list",
            Self::CloudKeyUnits(_) => "cloud-key-units",
            Self::PinShow { .. } => "pin-show",
            Self::AuditExport(_) => "audit-export",
            Self::AuditKeyList => "audit-key-list",
            Self::AuditKeyAdd { .. } => "audit-key-add",
            Self::AuditKeyRetire { .. } => "audit-key-retire",
        }
    }

    /// Whether the answer is a list of things.
    #[must_use]
    pub const fn is_list(&self) -> bool {
        matches!(
            self,
            Self::ProductList { .. }
                | Self::OrderList { .. }
                | Self::OrderShip { .. }
                | Self::UnitList { .. }
                | Self::StationList
                | Self::CloudKeyList { .. }
                | Self::CloudKeyUnits(_)
                | Self::AuditKeyList
        )
    }

    /// Whether it is answered beside the home's owner: from the journal, read as it is, and where a unit is asked for from the registry.
    #[must_use]
    pub const fn is_answered_beside(&self) -> bool {
        matches!(
            self,
            Self::ProductList { .. }
                | Self::ProductShow { .. }
                | Self::OrderList { .. }
                | Self::OrderShow { .. }
                | Self::UnitList { .. }
                | Self::UnitShow { .. }
        )
    }
}
