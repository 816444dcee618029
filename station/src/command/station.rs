//! `keyline station`: the stations that may enter pins, and what takes the place of one.

use std::path::Path;

use x509_cert::Certificate;
use x509_cert::der::{DecodePem as _, Encode as _};

use super::act::{self, Act};
use super::arguments::StationCommand;
use super::lower::{Action, checked_reason, token_options};
use super::{CommandError, Permit, Request};
use crate::app::ReplaceOptions;
use crate::authority::{Bundle, EnrolmentState};
use crate::clock::wall_ms;
use crate::event::{Event, EventSink};
use crate::record::{Change, StationId};
use crate::registry::{NewStation, Registry, Retirement};

/// Makes an action of what was typed.
pub(super) fn lower(command: StationCommand) -> Result<Action, CommandError> {
    Ok(match command {
        StationCommand::Enroll {
            station,
            name,
            certificate,
        } => Action::Request(Request::StationEnroll {
            station,
            name,
            certificate: certificate
                .map(|path| certificate_digest(&path))
                .transpose()?,
        }),
        StationCommand::List => Action::Request(Request::StationList),
        StationCommand::Retire {
            station,
            successor,
            reason,
            permit,
        } => Action::Request(Request::StationRetire {
            station,
            successor,
            reason,
            permit,
        }),
        StationCommand::Replace {
            to,
            name,
            reason,
            token,
            permit,
        } => {
            act::require(
                &permit,
                Permit::ReplaceStation,
                "the old home is read-only for ever afterwards",
            )?;
            Action::Replace(ReplaceOptions {
                new_home: to,
                name,
                reason: checked_reason(&reason)?,
                audit_token: token_options(token)?,
            })
        }
    })
}

/// SHA-256 of a certificate file's DER.
fn certificate_digest(path: &Path) -> Result<[u8; 32], CommandError> {
    let input = |source| CommandError::Input {
        path: path.to_owned(),
        source,
    };
    let text = std::fs::read(path).map_err(input)?;
    let der = Certificate::from_pem(&text).and_then(|certificate| certificate.to_der());
    der.map(|der| keyline_protocol::identity::fingerprint(&der))
        .map_err(|error| CommandError::Usage {
            message: format!(
                "expected a certificate in PEM in {}, got something else: {error}",
                path.display()
            ),
        })
}

/// Lists the stations.
pub(super) async fn list(registry: &Registry, sink: &dyn EventSink) -> Result<(), CommandError> {
    let stations = registry.stations().await?;
    if stations.is_empty() {
        sink.emit(Event::Notice {
            message: "No station is enrolled here: the one whose registry is a file needs no enrolment, on a shared registry see `keyline station enroll --help`.".to_owned(),
        });
    }
    for station in stations {
        sink.emit(Event::Station(Box::new(station)));
    }
    Ok(())
}

/// Where a registry obeys a root, that root says which stations there are.
async fn refuse_unsigned(registry: &Registry, station: StationId) -> Result<(), CommandError> {
    let Some(root) = registry.root_policy().await? else {
        return Ok(());
    };
    for kept in registry.bundles().await? {
        if let Ok(accepted) = Bundle::verify(&kept.note, &root, wall_ms(), None)
            && let Ok(enrolment) = accepted.station()
            && enrolment.station == station
            && enrolment.state == EnrolmentState::Enrolled
        {
            return Ok(());
        }
    }
    Err(CommandError::Advice {
        message: format!(
            "expected an enrolment of station {station} in the registry that its root signed, found none that counts"
        ),
        next: "Have it signed and publish it: `keyline authority bundle station --help`, `keyline authority publish FILE`."
            .to_owned(),
    })
}

impl Act<'_> {
    pub(super) async fn enroll_station(
        &self,
        station: StationId,
        name: String,
        certificate: Option<[u8; 32]>,
    ) -> Result<(), CommandError> {
        let registry = self.app.registry().await?;
        registry.ping().await?;
        refuse_unsigned(&registry, station).await?;
        let change = Change::StationEnrolled {
            station,
            name: name.clone(),
            certificate: certificate.map(hex::encode),
            operator: self.operator(),
        };
        self.app.journal().commit(vec![change]).await?;
        let new = NewStation {
            id: station,
            name: name.clone(),
            certificate,
            operator: self.operator(),
        };
        let login = registry.enrol_station(&new).await?;
        self.say(format!(
            "Enrolled {name}. It signs in to the database as {login}: that is the common name of its certificate, and the role in its registry.url."
        ));
        Ok(())
    }

    pub(super) async fn retire_station(
        &self,
        station: StationId,
        successor: Option<StationId>,
        reason: &str,
        permit: &[Permit],
    ) -> Result<(), CommandError> {
        let reason = checked_reason(reason)?;
        act::require(
            permit,
            Permit::RetireStation,
            "the registry takes nothing more from the station, for ever",
        )?;
        let registry = self.app.registry().await?;
        registry.ping().await?;
        let change = Change::StationRetired {
            station,
            successor,
            operator: self.operator(),
            reason: reason.clone(),
        };
        self.app.journal().commit(vec![change]).await?;
        let retirement = Retirement {
            id: station,
            successor,
            operator: self.operator(),
            reason,
        };
        registry.retire_station(&retirement).await?;
        self.say(format!(
            "Retired station {station}. What it has pinned stays pinned; revoke what you don't trust."
        ));
        Ok(())
    }
}
