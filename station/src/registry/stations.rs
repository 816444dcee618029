//! The stations that may enter pins: enrolled, replaced and retired, never forgotten.

use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{FromRow, Row as _};

use super::address::Engine;
use super::question::{id, undecodable};
use super::store;
use super::{Registry, RegistryError};
use crate::record::StationId;

const DOING: &str = "reading which stations there are";

/// A station that is to be enrolled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewStation {
    /// Its id, from its own configuration.
    pub id: StationId,
    /// What people call it; unique, for ever.
    pub name: String,
    /// SHA-256 of the certificate that it shows to the database, DER, where it has one.
    pub certificate: Option<[u8; 32]>,
    /// The id of the operator who enrols it.
    pub operator: String,
}

/// That a station is to enter nothing more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retirement {
    /// The station.
    pub id: StationId,
    /// The station that takes its place, where one does; enrolled before.
    pub successor: Option<StationId>,
    /// The id of the operator who retires it.
    pub operator: String,
    /// Why.
    pub reason: String,
}

/// An enrolled station.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolledStation {
    /// Its id.
    pub id: StationId,
    /// What people call it.
    pub name: String,
    /// The role with which it logs in to the database.
    pub login: String,
    /// SHA-256 of its certificate, in hexadecimal, where one was named.
    pub certificate: Option<String>,
    /// The id of the operator who enrolled it.
    pub enrolled_by: String,
    /// When, in milliseconds since 1970.
    pub enrolled_at_ms: u64,
    /// When it was retired, if it was.
    pub retired_at_ms: Option<u64>,
    /// Why.
    pub retired_for: Option<String>,
    /// Who took its place.
    pub successor: Option<StationId>,
}

impl FromRow<'_, AnyRow> for EnrolledStation {
    fn from_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let time = |time: Option<i64>| time.map(store::unsigned).transpose().map_err(undecodable);
        let certificate: Option<Vec<u8>> = row.try_get("certificate")?;
        let successor: Option<Vec<u8>> = row.try_get("successor")?;
        let enrolled: i64 = row.try_get("enrolled_at_ms")?;
        Ok(Self {
            id: StationId::from_bytes(id(&row.try_get::<Vec<u8>, _>("id")?)?),
            name: row.try_get("name")?,
            login: row.try_get("login")?,
            certificate: certificate.map(hex::encode),
            enrolled_by: row.try_get("enrolled_by")?,
            enrolled_at_ms: store::unsigned(enrolled).map_err(undecodable)?,
            retired_at_ms: time(row.try_get("retired_at_ms")?)?,
            retired_for: row.try_get("reason")?,
            successor: successor
                .map(|bytes| id(&bytes).map(StationId::from_bytes))
                .transpose()?,
        })
    }
}

impl Registry {
    /// Enrols a station and gives the role with which it logs in. On PostgreSQL the role is made, with the rights of a station; its
    /// certificate's common name must be the role's name.
    ///
    /// # Errors
    /// [`RegistryError::StationKnown`] where the id or the name was enrolled before, [`RegistryError::NotAllowed`] where this role may
    /// not, or where the database can't be reached.
    pub async fn enrol_station(&self, station: &NewStation) -> Result<String, RegistryError> {
        let enrolled = self.stations().await?;
        if enrolled
            .iter()
            .any(|one| one.id == station.id || one.name == station.name)
        {
            return Err(RegistryError::StationKnown {
                id: station.id,
                name: station.name.clone(),
            });
        }
        let sql = match self.connections.engine() {
            Engine::Sqlite => {
                "INSERT INTO station (id, name, login, certificate, enrolled_by, enrolled_at_ms) \
                 VALUES ($1, $2, 'station_' || lower(hex($1)), $3, $4, $5) RETURNING login"
            }
            Engine::Postgres => "SELECT enrol_station($1, $2, $3, $4, $5)",
        };
        let question = sqlx::query_as(sql)
            .bind(station.id.as_bytes().to_vec())
            .bind(station.name.clone())
            .bind(station.certificate.map(|digest| digest.to_vec()))
            .bind(station.operator.clone())
            .bind(store::signed(crate::clock::wall_ms()));
        let rows: Vec<(String,)> = self
            .connections
            .fetch("enrolling a station", question)
            .await?;
        rows.into_iter()
            .map(|(login,)| login)
            .next()
            .ok_or(RegistryError::Damaged {
                what: "the answer to an enrolment",
                expected: "the station's role",
                found: "nothing".to_owned(),
            })
    }

    /// Retires a station: from that moment on its role enters nothing and sees nothing.
    ///
    /// # Errors
    /// [`RegistryError::StationUnknown`] where it or its successor is not enrolled, or is retired; [`RegistryError::NotAllowed`] where
    /// this role may not; or where the database can't be reached.
    pub async fn retire_station(&self, retirement: &Retirement) -> Result<(), RegistryError> {
        let enrolled = self.stations().await?;
        for wanted in [Some(retirement.id), retirement.successor]
            .into_iter()
            .flatten()
        {
            let lives = |one: &EnrolledStation| one.id == wanted && one.retired_at_ms.is_none();
            if !enrolled.iter().any(lives) {
                return Err(RegistryError::StationUnknown { id: wanted });
            }
        }
        let sql = match self.connections.engine() {
            Engine::Sqlite => {
                "INSERT INTO station_retirement (station, successor, retired_by, reason, retired_at_ms) VALUES ($1, $2, $3, $4, $5) \
                 RETURNING reason"
            }
            Engine::Postgres => "SELECT retire_station($1, $2, $3, $4, $5)",
        };
        let question = sqlx::query_as(sql)
            .bind(retirement.id.as_bytes().to_vec())
            .bind(retirement.successor.map(|id| id.as_bytes().to_vec()))
            .bind(retirement.operator.clone())
            .bind(retirement.reason.clone())
            .bind(store::signed(crate::clock::wall_ms()));
        let _: Vec<(String,)> = self
            .connections
            .fetch("retiring a station", question)
            .await?;
        Ok(())
    }

    /// The stations that were ever enrolled, the oldest first.
    ///
    /// # Errors
    /// [`RegistryError`] where the database can't be reached or is damaged.
    pub async fn stations(&self) -> Result<Vec<EnrolledStation>, RegistryError> {
        let question = sqlx::query_as(
            "SELECT station.id, station.name, station.login, station.certificate, station.enrolled_by, station.enrolled_at_ms, \
             station_retirement.retired_at_ms, station_retirement.reason, station_retirement.successor \
             FROM station LEFT JOIN station_retirement ON station_retirement.station = station.id ORDER BY station.enrolled_at_ms, station.id",
        );
        self.connections.fetch(DOING, question).await
    }
}
