//! Why a command could not do what it was asked: printed once, at the top, with its causes and the next action.

use std::path::PathBuf;

use super::feasible::InfeasibleProduct;
use super::request::Permit;
use crate::app::AppError;
use crate::authority::AuthorityError;
use crate::cloud_key::CloudKeyError;
use crate::cosign::CosignError;
use crate::dossier::DossierError;
use crate::error_text::chain;
use crate::event::ErrorBody;
use crate::exit::ExitCode;
use crate::export::ExportError;
use crate::fleet::FleetError;
use crate::home::{HomeError, LinkSelectorError};
use crate::journal::JournalError;
use crate::line::LineError;
use crate::link::ImageError;
use crate::operator::OperatorError;
use crate::outbox::OutboxError;
use crate::reconcile::ReconcileError;
use crate::record::{Failure, FailureCode};
use crate::registry::RegistryError;
use crate::report::ReportError;
use crate::seal::RecipientError;
use crate::socket::SocketError;
use crate::witness::WitnessStoreError;

/// Why a command could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The station.
    #[error(transparent)]
    App(#[from] AppError),
    /// A key file.
    #[error("the key in {} can't be used", .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: CloudKeyError,
    },
    /// The file with the key that an export is to be sealed to.
    #[error("the key in {} can't be sealed to", .path.display())]
    Recipient {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: RecipientError,
    },
    /// An export.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// A fleet's import or export.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// The credentials file.
    #[error("expected network credentials of 1 to {max} bytes in {}, {got}", .path.display(), max = keyline_protocol::record::CREDENTIALS_LENGTH_MAX)]
    Credentials {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        got: String,
        /// What the system said.
        #[source]
        source: Option<std::io::Error>,
    },
    /// The product can't work.
    #[error("this product can't work")]
    Product(#[from] InfeasibleProduct),
    /// The product's bundle does not name the station's agent.
    #[error("expected one of the agents that version {version} of product {product} names ({}), this station has {}", digests(.allowed), hex::encode(.got))]
    AgentNotAllowed {
        /// The product.
        product: String,
        /// The bundle's version.
        version: u64,
        /// The digests that it names.
        allowed: Vec<[u8; 32]>,
        /// The digest of the station's image.
        got: [u8; 32],
    },
    /// There is no agent image for the chip.
    #[error("there is no agent for this chip")]
    Image(#[from] ImageError),
    /// Nothing of that name.
    #[error("expected {}, found no {what} \"{name}\"", named_by(.what))]
    Unknown {
        /// `product`, `order`, `unit`, `pin` or `key`.
        what: &'static str,
        /// What was asked for.
        name: String,
    },
    /// More than one.
    #[error(
        "expected a serial of one unit, \"{serial}\" was scanned for {count}; give the device id"
    )]
    Ambiguous {
        /// The serial.
        serial: String,
        /// How many units had it.
        count: usize,
    },
    /// A destructive act without its permission.
    #[error("expected `--permit {}`: {words}", permit_name(*.permit))]
    PermitMissing {
        /// The permission.
        permit: Permit,
        /// What the act does.
        words: &'static str,
    },
    /// A reason that says nothing.
    #[error("expected a reason of 3 to 200 characters, got {got}")]
    Reason {
        /// Its length in characters.
        got: usize,
    },
    /// A slot's description.
    #[error("expected NUMBER=LINK for a slot, got {got:?}")]
    Slot {
        /// What came.
        got: String,
        /// What is wrong with the link.
        #[source]
        source: Option<LinkSelectorError>,
    },
    /// A file that was named can't be read.
    #[error("{} can't be read", .path.display())]
    Input {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file that was named can't be written.
    #[error("expected to write a new file at {}", .path.display())]
    Output {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A unit's dossier can't be made.
    #[error("the dossier could not be made")]
    Dossier(#[from] DossierError),
    /// A file would not hold: it was not written.
    #[error("expected a {what} that holds, nothing was written: {words}")]
    Evidence {
        /// `dossier`.
        what: &'static str,
        /// The check that is broken, and how.
        words: String,
    },
    /// A lot report can't be made.
    #[error("the report could not be made")]
    Report(#[from] ReportError),
    /// The station can't be verified.
    #[error("the station could not be verified")]
    Reconcile(#[from] ReconcileError),
    /// Checkpoints can't be cosigned.
    #[error("the log's checkpoint could not be shown to its witnesses")]
    Cosign(#[from] CosignError),
    /// The process that owns the home.
    #[error("the process that owns the home could not be asked")]
    Socket(#[from] SocketError),
    /// A witness's store.
    #[error(transparent)]
    Witness(#[from] WitnessStoreError),
    /// The outbox can't be worked on.
    #[error("what is held could not be entered")]
    Outbox(#[from] OutboxError),
    /// The line stopped.
    #[error(transparent)]
    Line(#[from] LineError),
    /// The work order takes no unit.
    #[error("{}", .0.message)]
    Order(Failure),
    /// The arguments contradict each other.
    #[error("{message}")]
    Usage {
        /// How.
        message: String,
    },
    /// Something else was given than what is needed.
    #[error("{message}")]
    Advice {
        /// What was expected and what came.
        message: String,
        /// What to do.
        next: String,
    },
    /// The station is not ready for what was asked.
    #[error("{message}")]
    NotReady {
        /// Why.
        message: String,
        /// What to do.
        next: String,
    },
    /// The program's own surroundings failed.
    #[error("the program could not {doing}")]
    System {
        /// What it was doing.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

fn digests(allowed: &[[u8; 32]]) -> String {
    let allowed: Vec<_> = allowed.iter().map(hex::encode).collect();
    allowed.join(", ")
}

fn named_by(noun: &str) -> String {
    match noun {
        "unit" | "pin" => format!("the device id or serial of a {noun}"),
        "key" => "the key id, label or file of a key in the configuration".to_owned(),
        "order" => "an order's name or id".to_owned(),
        "cloud key" => "a cloud key that the registry knows".to_owned(),
        noun => format!("a {noun}'s name or id"),
    }
}

const fn permit_name(permit: Permit) -> &'static str {
    match permit {
        Permit::Scrap => "scrap",
        Permit::Revoke => "revoke",
        Permit::ReplaceStation => "replace-station",
        Permit::RetireKey => "retire-key",
        Permit::RetireStation => "retire-station",
        Permit::RetireKeyUnwitnessed => "retire-key-unwitnessed",
    }
}

impl CommandError {
    /// The exit code.
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::App(error) => error.exit_code(),
            Self::Line(error) => error.exit_code(),
            Self::Export(error) => error.exit_code(),
            Self::Witness(error) => error.exit_code(),
            Self::Fleet(error) if error.is_usage() => ExitCode::Usage,
            Self::Dossier(DossierError::UnknownUnit(_))
            | Self::Report(ReportError::UnknownOrder(_) | ReportError::TooManyUnits(_))
            | Self::Input { .. }
            | Self::Output { .. }
            | Self::Key { .. }
            | Self::Recipient { .. }
            | Self::Credentials { .. }
            | Self::Product(_)
            | Self::Unknown { .. }
            | Self::Ambiguous { .. }
            | Self::Reason { .. }
            | Self::Slot { .. }
            | Self::Usage { .. }
            | Self::Advice { .. } => ExitCode::Usage,
            Self::Image(_) | Self::Socket(_) | Self::NotReady { .. } | Self::System { .. } => {
                ExitCode::NotReady
            }
            Self::PermitMissing { .. } | Self::AgentNotAllowed { .. } => ExitCode::NotAllowed,
            Self::Dossier(_)
            | Self::Evidence { .. }
            | Self::Report(_)
            | Self::Cosign(_)
            | Self::Outbox(_)
            | Self::Reconcile(_) => ExitCode::AuditRefused,
            Self::Order(failure) if matches!(failure.code, FailureCode::OrderClosed) => {
                ExitCode::Usage
            }
            Self::Fleet(_) | Self::Order(_) => ExitCode::NotReady,
        }
    }

    /// What the outside is told.
    #[must_use]
    pub fn body(&self) -> ErrorBody {
        ErrorBody {
            code: self.code().to_owned(),
            message: chain(self),
            next: self.next(),
        }
    }

    const fn code(&self) -> &'static str {
        match self {
            Self::App(error) => error.code(),
            Self::Key { .. } => "cloud-key",
            Self::Recipient { .. } => "recipient-key",
            Self::Export(error) => error.code(),
            Self::Fleet(error) => error.code(),
            Self::Credentials { .. } => "credentials",
            Self::Product(_) => "infeasible-product",
            Self::AgentNotAllowed { .. } => "agent-not-allowed",
            Self::Image(_) => "agent-image",
            Self::Unknown { .. } => "unknown",
            Self::Ambiguous { .. } => "ambiguous",
            Self::PermitMissing { .. } => "permit-missing",
            Self::Reason { .. } => "reason",
            Self::Slot { .. } => "slot",
            Self::Input { .. } => "input",
            Self::Output { .. } => "output",
            Self::Dossier(_) => "dossier",
            Self::Evidence { .. } => "evidence",
            Self::Report(_) => "report",
            Self::Cosign(_) => "cosign",
            Self::Reconcile(_) => "reconcile",
            Self::Outbox(_) => "outbox",
            Self::Socket(_) => "socket",
            Self::Witness(error) => error.code(),
            Self::Order(failure) | Self::Line(LineError::NotReady(failure)) => failure.code.name(),
            Self::Line(LineError::Journal(JournalError::SigningUnavailable { .. })) => {
                "signing-unavailable"
            }
            Self::Line(LineError::Journal(
                JournalError::AheadOfWitnesses { .. } | JournalError::NeverWitnessed,
            )) => "ahead-of-witnesses",
            Self::Line(LineError::Journal(JournalError::Disputed { .. })) => "log-disputed",
            Self::Line(LineError::Journal(_)) => "journal",
            Self::Line(LineError::Registry(_)) => "registry",
            Self::Line(LineError::SlotLost(_)) => "line",
            Self::Usage { .. } | Self::Advice { .. } => "usage",
            Self::NotReady { .. } => "not-ready",
            Self::System { .. } => "system",
        }
    }

    fn next(&self) -> String {
        match self {
            Self::App(error) => error.next(),
            Self::Key { .. } => "Give the cloud's public key or certificate: --cloud-key FILE.",
            Self::Recipient { .. } => {
                "Give the public key or certificate of the person who shall read it: --seal-to FILE."
            }
            Self::Export(error) => error.next(),
            Self::Fleet(error) => return error.next(),
            Self::Credentials { .. } => "Give a readable file with the network credentials.",
            Self::Product(_) => {
                "Change what the message names; `keyline product add --help` lists what there is."
            }
            Self::Image(_) => "Install a station with an agent for this chip (`make firmware`).",
            Self::AgentNotAllowed { .. } => {
                "Have a version of the product signed that names this agent, or install the station's software that has the agent."
            }
            Self::Unknown { what, .. } => match *what {
                "product" => "Look at what there is: `keyline product list`.",
                "key" => {
                    "Look at what there is: `keyline audit key list`. A new key first gets an [[audit.key]] in config.toml."
                }
                "order" => "Look at what there is: `keyline order list`.",
                "cloud key" => "Look at what there is: `keyline cloud-key list`.",
                _ => "Look at what there is: `keyline unit list`.",
            },
            Self::Ambiguous { .. } => "Find the device id with `keyline unit list`.",
            Self::PermitMissing { .. } => {
                "Add the permission if you mean it; it holds for this one command."
            }
            Self::Reason { .. } => {
                "Say why, in a sentence that an auditor can follow: --reason TEXT."
            }
            Self::Slot { .. } => "Write for instance --slot 1=probe:1366:1015:000683012345.",
            Self::Input { .. } => "Check the path and its permissions.",
            Self::Output { .. } => "Name a path where nothing is yet and that you may write to.",
            Self::Dossier(DossierError::UnknownUnit(_)) => {
                "Look at what there is: `keyline unit list`."
            }
            Self::Report(ReportError::UnknownOrder(_)) => {
                "Look at what there is: `keyline order list`."
            }
            Self::Report(ReportError::TooManyUnits(_)) => {
                "Make several reports, each of a time: --from TIME --to TIME."
            }
            Self::Dossier(_) | Self::Evidence { .. } | Self::Report(_) => "Run `keyline audit verify --deep`.",
            Self::Reconcile(_) => "Keep the home as it is, and have a copy of its journal looked at.",
            Self::Cosign(_) => "Run `keyline doctor`: it names the witnesses that do not answer.",
            Self::Outbox(OutboxError::Journal(error)) => error.next(),
            Self::Outbox(OutboxError::Lost(_)) => "Run `keyline sync` again: what was entered stays entered. Keep the log for the maintainers.",
            Self::Socket(error) => error.next(),
            Self::Witness(error) => error.next(),
            Self::Usage { .. } => "See `keyline help`.",
            Self::Line(error) => return error.next(),
            Self::Order(failure) => return failure.next.clone(),
            Self::Advice { next, .. } | Self::NotReady { next, .. } => next,
            Self::System { .. } => "Run `keyline doctor`.",
        }
        .to_owned()
    }
}

macro_rules! through_app {
    ($($source:ty),+) => {$(
        impl From<$source> for CommandError {
            fn from(source: $source) -> Self {
                Self::App(source.into())
            }
        }
    )+};
}

through_app!(
    HomeError,
    JournalError,
    RegistryError,
    OperatorError,
    AuthorityError
);
