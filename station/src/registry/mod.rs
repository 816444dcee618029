//! Which public key belongs to which device: claims, pins and their history, in the cloud's database.
//!
//! A claim enters a key with the signature that shows its possession; it is not trusted. A proof turns the claim into the device's
//! active pin; the registry verifies it by itself, from the claimed key. One public key belongs to one device id for ever, one device
//! has at most one pending claim and one active pin, and history only grows.
//!
//! Beside the key it keeps which serial of a product names the device: one living device a serial, with its history.
//!
//! Beside that it is a witness of the stations' audit logs: it keeps their checkpoints and refuses what contradicts them.
//!
//! Rows are inserted and never changed: what became of a key follows from what is there, and the tables' keys allow one active pin a
//! device at any moment, whoever writes.
//!
//! SQLite and PostgreSQL run the same statements, through one connection that takes whatever waits into one transaction: read what the
//! requests name, decide in memory, write, commit. Where others write at the same time, the transaction is serializable and is carried
//! out anew if it lost. All SQL of the registry is in this module.

mod act_store;
mod acts;
mod address;
mod alarm_store;
mod bundles;
mod by_people;
mod carriers;
mod cloud_keys;
mod connections;
mod constraint;
mod decide;
mod error;
mod key;
mod keys_page;
mod known;
mod log;
mod log_decide;
mod log_store;
mod model;
mod question;
mod reconcile;
mod request;
mod rows;
mod schema;
mod serial_question;
mod serial_store;
mod serials;
mod stations;
mod status;
mod store;
mod verify;
mod writer;

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

pub use acts::{ActReceipt, TwoPersonAct};
pub use address::{RegistryAddress, RegistryFiles};
pub use bundles::KeptBundle;
pub use by_people::StationRevocation;
pub use carriers::{CarriedKey, Carrier, CarrierFilter};
pub use cloud_keys::{BuildEntry, CloudKeyVersion, EnteredBy};
pub use error::RegistryError;
pub use keys_page::{KeyPlace, ListedKey};
pub use log::{CheckpointReceipt, EnteredCheckpoint, LogAlarm, LogAlarmKind, LogCheckpoint};
pub use model::{
    AlarmKind, AlarmSide, ImportRow, ImportTerms, PinEvent, PinEventKind, RegistryAlarm,
    Revocation, SerialUse,
};
pub use reconcile::{ActivePin, AlarmPage, ClaimPin, ClaimRecord, KeyOwner, StoredProof};
pub use schema::{Migrated, migrate};
pub use stations::{EnrolledStation, NewStation, Retirement};
pub use status::{RegistryStation, RegistryStatus, status};
pub(crate) use verify::{claim as check_claim, proof as check_proof};

use crate::record::{Claim, ClaimReceipt, Label, Labelled, PinReceipt, Proof};
use address::Engine;
use connections::Connections;
use request::{Act, Outcome, Request};
use writer::Writer;

/// How many requests may wait; whoever comes then waits for a place.
const WAITING_MAX: usize = 4_096;

/// A handle on the registry. Clones share the one connection that writes.
#[derive(Clone, Debug)]
pub struct Registry {
    connections: Arc<Connections>,
    requests: mpsc::Sender<Request>,
}

impl Registry {
    /// Opens the registry of an address without files: see [`open`](Self::open).
    ///
    /// # Errors
    /// As [`RegistryAddress::new`] and [`open`](Self::open).
    pub async fn connect(url: &str) -> Result<Self, RegistryError> {
        Self::open(RegistryAddress::new(url, &RegistryFiles::default())?).await
    }

    /// Opens the registry. Must be called inside a tokio runtime.
    ///
    /// A file is made where there is none, and its schema is brought up to date. A server is not spoken to before something is asked of
    /// it: a line begins while it is out of reach. Its schema is its owner's to bring up to date ([`migrate`]).
    ///
    /// # Errors
    /// [`RegistryError`] where a file can't be opened, or this software is too old for it.
    pub async fn open(address: RegistryAddress) -> Result<Self, RegistryError> {
        let connections = Arc::new(Connections::new(address));
        let mut connection = None;
        if connections.engine() == Engine::Sqlite {
            let mut file = connections.open().await?;
            schema::bring_up_to_date(&mut file, Engine::Sqlite).await?;
            connection = Some(file);
        }
        let (requests, receiver) = mpsc::channel(WAITING_MAX);
        let writer = Writer {
            connections: Arc::clone(&connections),
            connection,
        };
        tokio::spawn(writer.run(receiver));
        Ok(Self {
            connections,
            requests,
        })
    }

    /// Enters a public key as pending, after checking that its private key signed the claim. The same claim again is accepted, with
    /// `already`; a pending claim of the same device that never proved itself is superseded, and its key burnt.
    ///
    /// A label that names another living unit is refused here already; it is entered with the pin.
    ///
    /// # Errors
    /// [`RegistryError`], one variant a reason; [`RegistryError::failure_code`] says what the line does.
    pub async fn claim(
        &self,
        claim: impl Into<Labelled<Claim>>,
    ) -> Result<ClaimReceipt, RegistryError> {
        let claim = claim.into();
        verify::claim(&claim.entry)?;
        match self.ask(Act::Claim(Box::new(claim))).await? {
            Outcome::Claimed(receipt) => Ok(receipt),
            other => Err(other.unexpected()),
        }
    }

    /// Verifies a proof and makes the claimed key the device's active pin. The same pin again is accepted, with `already`. Where the unit
    /// has a label, its serial names the device from then on, until the pin is revoked.
    ///
    /// A weak proof, whose MAC nobody but the station could check, is accepted for RSA keys only, and the pin is marked weak.
    ///
    /// # Errors
    /// [`RegistryError`], one variant a reason; [`RegistryError::failure_code`] says what the line does.
    pub async fn pin(
        &self,
        proof: impl Into<Labelled<Proof>>,
    ) -> Result<PinReceipt, RegistryError> {
        let proof = proof.into();
        verify::proof(&proof.entry)?;
        match self.ask(Act::Pin(Box::new(proof))).await? {
            Outcome::Pinned(receipt) => Ok(receipt),
            other => Err(other.unexpected()),
        }
    }

    /// Enters a claim and its proof at once, as [`claim`](Self::claim) and then [`pin`](Self::pin) would: for units whose run is over.
    ///
    /// # Errors
    /// [`RegistryError`], one variant a reason; [`RegistryError::failure_code`] says what becomes of the unit.
    pub async fn enter(
        &self,
        claim: Claim,
        proof: Proof,
        label: Option<Label>,
    ) -> Result<PinReceipt, RegistryError> {
        verify::claim(&claim)?;
        verify::proof(&proof)?;
        match self
            .ask(Act::Enter(Box::new((claim, proof, label))))
            .await?
        {
            Outcome::Pinned(receipt) => Ok(receipt),
            other => Err(other.unexpected()),
        }
    }

    /// Takes devices in that exist already, in one transaction, and answers for each row. Whether the operator may do so is the caller's
    /// to check, and that the keys are sound.
    ///
    /// # Errors
    /// [`RegistryError`] where nothing could be taken in. What is wrong with a row is its own answer.
    pub async fn import(
        &self,
        terms: ImportTerms,
        rows: Vec<ImportRow>,
    ) -> Result<Vec<Result<PinReceipt, RegistryError>>, RegistryError> {
        match self.ask(Act::Import(Box::new((terms, rows)))).await? {
            Outcome::Imported(answers) => Ok(answers),
            other => Err(other.unexpected()),
        }
    }

    /// Carries out an act on which two people agreed: the old key is trusted no more, and where the act gives a new one, that is. The very
    /// same act again is accepted, with `already`. The database refuses one whose two people are one.
    ///
    /// # Errors
    /// [`RegistryError::NotPinned`], [`RegistryError::DeviceHasAnotherKey`] where the act is about another key than the active one,
    /// [`RegistryError::KeyBelongsToAnother`] or [`RegistryError::KeyBurnt`] for a new key that was used before.
    pub async fn carry_out(&self, act: TwoPersonAct) -> Result<ActReceipt, RegistryError> {
        match self.ask(Act::CarryOut(Box::new(act))).await? {
            Outcome::CarriedOut(receipt) => Ok(receipt),
            other => Err(other.unexpected()),
        }
    }

    /// Revokes the device's active pin and gives the revoked key's fingerprint. Whether the operator may do so is the caller's to check.
    ///
    /// # Errors
    /// [`RegistryError::NotPinned`] where there is no active pin.
    pub async fn revoke(&self, revocation: Revocation) -> Result<[u8; 32], RegistryError> {
        match self.ask(Act::Revoke(Box::new(revocation))).await? {
            Outcome::Revoked(fingerprint) => Ok(fingerprint),
            other => Err(other.unexpected()),
        }
    }

    /// Enters a checkpoint of a station's audit log, after the one that was entered last; the same one again is accepted, with
    /// `already`. The caller has verified its signature, and that its tree contains the tree entered before ([`latest_checkpoint`]);
    /// the registry checks that the note says what is entered, and holds it against what it knows. What it refuses as a rollback, a
    /// fork or another station's log leaves an alarm behind, with the note.
    ///
    /// [`latest_checkpoint`]: Self::latest_checkpoint
    ///
    /// # Errors
    /// [`RegistryError::LogRolledBack`], [`RegistryError::LogForked`], [`RegistryError::OriginOfAnother`],
    /// [`RegistryError::BadCheckpoint`], or where the database can't be reached.
    pub async fn enter_checkpoint(
        &self,
        checkpoint: LogCheckpoint,
    ) -> Result<CheckpointReceipt, RegistryError> {
        log::check(&checkpoint)?;
        match self.ask(Act::Checkpoint(Box::new(checkpoint))).await? {
            Outcome::Entered(receipt) => Ok(receipt),
            other => Err(other.unexpected()),
        }
    }

    /// Waits until everything that was asked for before is answered, and lets go of the database. Other handles find it closed.
    pub async fn close(self) {
        // Where the writer has ended already there is nothing to wait for.
        let _ = self.ask(Act::Close).await;
        self.connections.close().await;
    }

    async fn ask(&self, act: Act) -> Result<Outcome, RegistryError> {
        let (reply, answer) = oneshot::channel();
        self.requests
            .send(Request { act, reply })
            .await
            .map_err(|_| RegistryError::Closed)?;
        answer.await.map_err(|_| RegistryError::Closed)?
    }
}
