//! From what was typed to what is wanted: reads the files that were named, makes paths absolute, refuses what contradicts itself.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap_complete::Shell;
use keyline_protocol::record::CREDENTIALS_LENGTH_MAX;
use zeroize::Zeroizing;

use super::arguments::{Command, OrderCommand, ProductCommand, UnitCommand};
use super::audit::AuditAction;
use super::audit_arguments::{AuditCommand, KeyCommand, KeyMake, TokenArguments};
use super::authority::{read_policy, read_text};
use super::authority_arguments::{AuthorityCommand, FilesCommand};
use super::cloud_key;
use super::export::lower as export;
use super::fleet::{self, DryRun};
use super::log_key::NewKey;
use super::pin_act;
use super::product_arguments::ProductAdd;
use super::registry_admin::RegistryRequest;
use super::registry_arguments::RegistryCommand;
use super::station;
use super::witness::WitnessRequest;
use super::witness_arguments::WitnessCommand;
use super::{
    CommandError, DemoRequest, ProductBundleRequest, ProductDraft, ProvisionRequest, Request,
};
use crate::app::{InitOptions, ReplaceOptions, TokenOptions};
use crate::audit::TokenKey;
use crate::authority::ActKind;
use crate::cloud_key::CloudKey;
use crate::home::SlotConfig;
use crate::record::{OrderState, UnitState};
use crate::report::Window;

/// What is to be done.
pub(super) enum Action {
    /// On an open home, here or by its owner.
    Request(Request),
    /// A demonstration.
    Demo(DemoRequest),
    /// A new home.
    Init(InitOptions),
    /// A new key for the audit log, which signs nothing yet.
    MakeKey(NewKey),
    /// The checks.
    Doctor,
    /// An auditor's command.
    Audit(AuditAction),
    /// On files that say who may say yes.
    Authority(FilesCommand),
    /// A new station in the place of this one.
    Replace(ReplaceOptions),
    /// On a fleet's file.
    Fleet(DryRun),
    /// On the registry's database, by its owner.
    Registry(RegistryRequest),
    /// On a witness's store.
    Witness(WitnessRequest),
    /// A completion script.
    Completions(Shell),
    /// The manual page.
    Man,
}

/// Makes an action of a command; `home` is the one that was typed.
pub(super) fn lower(command: Command, home: Option<PathBuf>) -> Result<Action, CommandError> {
    Ok(match command {
        Command::Demo {
            units,
            slots,
            unit,
            registry,
        } => Action::Demo(DemoRequest {
            units,
            slots,
            unit,
            registry,
            home,
        }),
        Command::Init {
            name,
            operator,
            registry,
            slots,
            token,
            authority,
        } => Action::Init(InitOptions {
            station_name: name,
            operator_name: operator.into(),
            registry_url: registry,
            slots: slots
                .iter()
                .map(|text| slot(text))
                .collect::<Result<_, _>>()?,
            audit_token: token_options(token)?,
            authority: authority.as_deref().map(read_policy).transpose()?,
        }),
        Command::Authority(command) => self::authority(command)?,
        Command::Doctor => Action::Doctor,
        Command::Registry(RegistryCommand::Fleet(command)) => fleet::lower(command)?,
        Command::Registry(RegistryCommand::Schema(command)) => Action::Registry(command.into()),
        Command::Witness(command) => Action::Witness(witness(command)),
        Command::Completions { shell } => Action::Completions(shell),
        Command::Man => Action::Man,
        Command::Product(command) => Action::Request(product(command)?),
        Command::Order(command) => Action::Request(order(command)),
        Command::Unit(command) => Action::Request(unit(command)?),
        Command::CloudKey(command) => Action::Request(cloud_key::lower(command)?),
        Command::Pin(command) => Action::Request(pin_act::lower(command)?),
        Command::Audit(command) => audit(command)?,
        Command::Station(command) => station::lower(command)?,
        Command::Sync { wait } => Action::Request(Request::Sync { wait_s: wait }),
        Command::Provision {
            order,
            slots,
            count,
            serial,
            dry_run,
            idempotency_key,
            max_failures,
        } => Action::Request(Request::Provision(provision(ProvisionRequest {
            order,
            slots,
            count,
            serial,
            dry_run,
            idempotency_key,
            failures_max: max_failures,
        })?)),
    })
}

fn audit(command: AuditCommand) -> Result<Action, CommandError> {
    Ok(Action::Audit(match command {
        AuditCommand::Checkpoint { witnessed } => AuditAction::Checkpoint { witnessed },
        AuditCommand::Policy => AuditAction::Policy,
        AuditCommand::Prove {
            unit,
            out,
            tlog_proofs,
        } => AuditAction::Prove {
            unit,
            out,
            tlog_proofs,
        },
        AuditCommand::Report {
            order,
            out,
            from,
            to,
        } if from.zip(to).is_some_and(|(from, to)| to <= from) => {
            return Err(CommandError::Advice {
                message: format!(
                    "expected --to to be after --from, got {} and {}",
                    to.map_or_else(String::new, crate::clock::text),
                    from.map_or_else(String::new, crate::clock::text)
                ),
                next: format!(
                    "Give a time after --from, or none: `keyline audit report {order} --out {}`.",
                    out.display()
                ),
            });
        }
        AuditCommand::Report {
            order,
            out,
            from,
            to,
        } => AuditAction::Report {
            order,
            window: Window {
                from_ms: from,
                to_ms: to,
            },
            out,
        },
        AuditCommand::Verify(typed) => super::audit::lower_verify(typed)?,
        AuditCommand::Key(command) => return key_command(command),
        AuditCommand::Export(typed) => {
            return Ok(Action::Request(Request::AuditExport(Box::new(export(
                *typed,
            )?))));
        }
    }))
}

fn slot(text: &str) -> Result<SlotConfig, CommandError> {
    let malformed = |source| CommandError::Slot {
        got: text.to_owned(),
        source,
    };
    let (number, link) = text.split_once('=').ok_or_else(|| malformed(None))?;
    Ok(SlotConfig {
        number: number.parse().map_err(|_| malformed(None))?,
        link: link.parse().map_err(|source| malformed(Some(source)))?,
    })
}

fn witness(command: WitnessCommand) -> WitnessRequest {
    match command {
        WitnessCommand::Init { store, name } => WitnessRequest::Init { store, name },
        WitnessCommand::Trust { store, key } => WitnessRequest::Trust { store, key },
        WitnessCommand::Distrust { store, key } => WitnessRequest::Distrust { store, key },
        WitnessCommand::Show { store } => WitnessRequest::Show { store },
        WitnessCommand::Serve { store, listen } => WitnessRequest::Serve { store, listen },
    }
}

fn authority(command: AuthorityCommand) -> Result<Action, CommandError> {
    Ok(match command {
        AuthorityCommand::Files(command) => Action::Authority(command),
        AuthorityCommand::Install { file } => Action::Request(Request::AuthorityInstall {
            note: read_text(&file)?,
        }),
        AuthorityCommand::Publish { file } => Action::Request(Request::AuthorityPublish {
            note: read_text(&file)?,
        }),
        AuthorityCommand::Fetch => Action::Request(Request::AuthorityFetch),
        AuthorityCommand::ReplaceRoot { file } => Action::Request(Request::AuthorityReplaceRoot {
            note: read_text(&file)?,
        }),
    })
}

fn key_command(command: KeyCommand) -> Result<Action, CommandError> {
    Ok(match command {
        KeyCommand::List => Action::Request(Request::AuditKeyList),
        KeyCommand::Make(typed) => Action::MakeKey(new_key(*typed)?),
        KeyCommand::Add { key } => Action::Request(Request::AuditKeyAdd { key }),
        KeyCommand::Retire {
            key,
            reason,
            permit,
        } => Action::Request(Request::AuditKeyRetire {
            key,
            reason: checked_reason(&reason)?,
            permit,
        }),
    })
}

fn new_key(typed: KeyMake) -> Result<NewKey, CommandError> {
    match (
        typed.file,
        typed.module,
        typed.token,
        typed.label,
        typed.pin_file,
    ) {
        (Some(file), ..) => Ok(NewKey::File(file)),
        (None, Some(module), Some(token), Some(label), Some(pin_file)) => {
            Ok(NewKey::Token(TokenKey {
                module: absolute(&module)?,
                token,
                label,
                pin_file: absolute(&pin_file)?,
            }))
        }
        _ => Err(CommandError::Usage {
            message: "expected --file, or --module, --token, --label and --pin-file".to_owned(),
        }),
    }
}

pub(super) fn token_options(typed: TokenArguments) -> Result<Option<TokenOptions>, CommandError> {
    match (typed.token, typed.module, typed.pin_file) {
        (Some(token), Some(module), Some(pin_file)) => Ok(Some(TokenOptions {
            module: absolute(&module)?,
            token,
            pin_file: absolute(&pin_file)?,
            label: typed.label,
        })),
        _ => Ok(None),
    }
}

/// A path is used from anywhere, the configuration or another process: what was typed is relative to where it was typed.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, CommandError> {
    std::path::absolute(path).map_err(|source| CommandError::System {
        doing: "find its working directory",
        source,
    })
}

fn product(command: ProductCommand) -> Result<Request, CommandError> {
    Ok(match command {
        ProductCommand::Add(typed) => match typed.bundle {
            Some(bundle) => Request::ProductAddBundle(Box::new(ProductBundleRequest {
                bundle: read_text(&bundle)?,
                credentials_file: typed.credentials.as_deref().map(credentials).transpose()?,
            })),
            None => Request::ProductAdd(Box::new(draft(*typed)?)),
        },
        ProductCommand::List { all } => Request::ProductList { all },
        ProductCommand::Show { product } => Request::ProductShow { product },
        ProductCommand::Retire { product } => Request::ProductRetire { product },
    })
}

fn draft(typed: ProductAdd) -> Result<ProductDraft, CommandError> {
    let (Some(name), Some(platform), Some(cloud_key), Some(cloud_address)) = (
        typed.name,
        typed.platform,
        typed.cloud_key,
        typed.cloud_address,
    ) else {
        return Err(CommandError::Usage {
            message: "expected --bundle, or --name, --platform, --cloud-key and --cloud-address"
                .to_owned(),
        });
    };
    let options = typed.options;
    Ok(ProductDraft {
        name,
        customer: options.customer,
        platform,
        key_policy: options.key_policy,
        algorithm: options.algorithm,
        lock_policy: options.lock_policy,
        cloud_key: key(&cloud_key)?,
        cloud_address,
        authority_key: options.authority_key.as_deref().map(key).transpose()?,
        credentials_file: typed.credentials.as_deref().map(credentials).transpose()?,
        when_registry_unreachable: options.when_registry_unreachable.into(),
        serial_format: options.serial_format,
    })
}

pub(super) fn key(path: &Path) -> Result<CloudKey, CommandError> {
    CloudKey::read(path).map_err(|source| CommandError::Key {
        path: path.to_owned(),
        source,
    })
}

/// Looks whether the credentials can be read, and forgets them.
fn credentials(path: &Path) -> Result<PathBuf, CommandError> {
    let unreadable = |source| CommandError::Credentials {
        path: path.to_owned(),
        got: "the file can't be read".to_owned(),
        source: Some(source),
    };
    let mut content = Zeroizing::new(Vec::with_capacity(CREDENTIALS_LENGTH_MAX + 1));
    std::fs::File::open(path)
        .and_then(|file| {
            file.take(CREDENTIALS_LENGTH_MAX as u64 + 1)
                .read_to_end(&mut content)
        })
        .map_err(unreadable)?;
    let got = match content.len() {
        0 => "the file is empty",
        length if length > CREDENTIALS_LENGTH_MAX => "the file is longer",
        _ => return path.canonicalize().map_err(unreadable),
    };
    Err(CommandError::Credentials {
        path: path.to_owned(),
        got: got.to_owned(),
        source: None,
    })
}

fn order(command: OrderCommand) -> Request {
    match command {
        OrderCommand::Add {
            name,
            product,
            quantity,
            rework,
        } => Request::OrderAdd {
            name,
            product,
            quantity,
            rework,
        },
        OrderCommand::List { open } => Request::OrderList {
            state: open.then_some(OrderState::Open),
        },
        OrderCommand::Show { order } => Request::OrderShow { order },
        OrderCommand::Ship { order, list } => Request::OrderShip { order, list },
        OrderCommand::Close { order } => Request::OrderClose { order },
    }
}

fn unit(command: UnitCommand) -> Result<Request, CommandError> {
    Ok(match command {
        UnitCommand::Return(act) => pin_act::two_people(ActKind::UnitReturn, act, None, None)?,
        UnitCommand::List {
            order,
            state,
            limit,
        } => Request::UnitList {
            order,
            state: state.as_deref().and_then(unit_state),
            limit,
        },
        UnitCommand::Show { unit } => Request::UnitShow { unit },
        UnitCommand::Release { unit, reason } => Request::UnitRelease {
            unit,
            reason: checked_reason(&reason)?,
        },
        UnitCommand::Scrap {
            unit,
            reason,
            permit,
        } => Request::UnitScrap {
            unit,
            reason: checked_reason(&reason)?,
            permit,
        },
        UnitCommand::Rework {
            unit,
            reason,
            permit,
        } => Request::UnitRework {
            unit,
            reason: checked_reason(&reason)?,
            permit,
        },
    })
}

/// The state of this name; the command line takes no other.
fn unit_state(name: &str) -> Option<UnitState> {
    [
        UnitState::InProgress,
        UnitState::Passed,
        UnitState::Weak,
        UnitState::Held,
        UnitState::Failed,
        UnitState::Quarantined,
        UnitState::Scrapped,
    ]
    .into_iter()
    .find(|state| state.name() == name)
}

/// Checks that a reason says something and is one line: it stands in the audit log for ever.
pub(super) fn checked_reason(reason: &str) -> Result<String, CommandError> {
    let got = reason.trim().chars().count();
    if (3..=200).contains(&got) && !reason.chars().any(char::is_control) {
        Ok(reason.trim().to_owned())
    } else {
        Err(CommandError::Reason { got })
    }
}

/// Checks what a provisioning request says of itself.
pub(super) fn provision(mut request: ProvisionRequest) -> Result<ProvisionRequest, CommandError> {
    let usage = |message: &str| {
        Err(CommandError::Usage {
            message: message.to_owned(),
        })
    };
    let typed = request.slots.len();
    request.slots.sort_unstable();
    request.slots.dedup();
    if request.slots.len() < typed {
        return usage("expected each --slot once, got one twice");
    }
    if request.serial.is_some() && (typed > 1 || request.count.is_some_and(|count| count > 1)) {
        return usage(
            "expected one slot and one unit with --serial, got more: a serial belongs to one unit",
        );
    }
    if request
        .idempotency_key
        .as_ref()
        .is_some_and(|key| key.is_empty() || key.len() > crate::journal::IDEMPOTENCY_KEY_MAX)
    {
        return usage("expected an --idempotency-key of 1 to 256 bytes");
    }
    Ok(request)
}
