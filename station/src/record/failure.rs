//! Why a run failed, in words for a person and a code for a script.

use serde::{Deserialize, Serialize};

/// What the line does with a unit whose run failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// The unit may be tried again; after three failures it is quarantined.
    Retry,
    /// The unit is set apart at once.
    Quarantine,
    /// The unit is set apart, and a clone alarm is raised.
    CloneAlarm,
    /// Not the unit's fault: the station isn't ready, and the line stops with exit code 3.
    StopLine,
}

macro_rules! failure_codes {
    ($($(#[$documentation:meta])+ $variant:ident = $name:literal, $disposition:ident, $next:literal;)+) => {
        /// A stable code for each way to fail. Scripts depend on the names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum FailureCode {
            $($(#[$documentation])+ #[serde(rename = $name)] $variant,)+
        }

        impl FailureCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in events and databases.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What the line does with the unit.
            #[must_use]
            pub const fn disposition(self) -> Disposition {
                match self { $(Self::$variant => Disposition::$disposition,)+ }
            }

            /// What the person at the bench does next.
            #[must_use]
            pub const fn next(self) -> &'static str {
                match self { $(Self::$variant => $next,)+ }
            }
        }
    };
}

failure_codes! {
    /// No probe or serial port answers to the slot's selector.
    ProbeNotFound = "probe-not-found", StopLine, "Check the cable of the probe or port and the slot's link in the configuration, then run `keyline doctor`.";
    /// Another process has the probe or serial port.
    ProbeBusy = "probe-busy", StopLine, "Close the other program that uses this probe or port, then run again.";
    /// The probe works, but no unit answers behind it.
    UnitNotConnected = "unit-not-connected", Retry, "Seat the unit in the fixture, check its power and cable, then run again.";
    /// The connection was lost in the middle.
    ConnectionLost = "connection-lost", Retry, "Seat the unit again and run again: it goes on where it stopped.";
    /// The unit did not answer in time.
    UnitTimeout = "unit-timeout", Retry, "Power the unit off and on, then run again.";
    /// The unit's answers could not be read.
    ProtocolError = "protocol-error", Retry, "Run again; if it fails again, check the cable and the fixture's contacts.";
    /// The unit speaks only versions of the protocol that the station doesn't.
    ProtocolVersion = "protocol-version", Quarantine, "Upgrade this station, or take the unit to one that knows its agent.";
    /// Another chip than the product's.
    WrongChip = "wrong-chip", Retry, "Take the unit out: it is not this product. Check the work order.";
    /// The probe and the agent read different device ids, or the unit changed in the middle of a run.
    DeviceIdMismatch = "device-id-mismatch", Quarantine, "Set the unit apart and call a supervisor: it may have been swapped or tampered with.";
    /// The scanned serial belongs to another unit.
    SerialMismatch = "serial-mismatch", Retry, "The label and the unit don't belong together. Scan the label of the unit in the fixture.";
    /// The registry knows the serial as that of another living unit.
    SerialInUse = "serial-in-use", Retry, "Two units have this label. Give this unit a label of its own; where its board was swapped, have the old board scrapped or its pin revoked first.";
    /// The registry knows the unit by another serial.
    UnitHasAnotherSerial = "unit-has-another-serial", Retry, "The registry knows this unit by another serial. Scan that one, or have the unit's pin revoked before it is labelled anew.";
    /// The serial does not look like one of this product.
    BadSerial = "bad-serial", Retry, "Scan the unit's serial label again.";
    /// The agent's image on the unit is not the order's.
    AgentDigest = "agent-digest", Quarantine, "Set the unit apart and call a supervisor: the agent on it is not the one that was loaded.";
    /// Flash refused or lost what was written.
    FlashFault = "flash-fault", Retry, "Run again; if it fails again, scrap the unit: its flash is worn or damaged.";
    /// Something else occupies the pages that the record needs.
    LayoutConflict = "layout-conflict", Retry, "Erase the unit's old bootloader or SoftDevice, or correct the product's layout.";
    /// The unit's random generator failed its health test.
    GeneratorUnhealthy = "generator-unhealthy", Quarantine, "Set the unit apart: its random generator can't be trusted to make keys.";
    /// The unit has no key where the product says that there is one.
    KeyMissing = "key-missing", Retry, "This product expects units that already have a key. Check that the earlier step was done.";
    /// The unit holds a key that does not fit the product.
    KeyUnsuitable = "key-unsuitable", Quarantine, "The unit already has a key of another kind. Call a supervisor: it needs rework.";
    /// The unit could not show that it holds the private key.
    PossessionFailed = "possession-failed", Quarantine, "Set the unit apart and call a supervisor: it can't sign with the key that it shows.";
    /// The public key belongs to another device.
    KeyBelongsToAnother = "key-belongs-to-another", CloneAlarm, "Clone alarm: set the unit apart and call security. Another unit already has this key.";
    /// The device is known with another key.
    DeviceHasAnotherKey = "device-has-another-key", CloneAlarm, "Clone alarm: set the unit apart and call security. This device id is known with another key.";
    /// The key was revoked or burnt.
    KeyRevoked = "key-revoked", Quarantine, "This key was revoked and never returns. Call a supervisor: the unit needs rework.";
    /// The session's other end did not have the device key.
    SessionNotAuthentic = "session-not-authentic", Quarantine, "Set the unit apart and call a supervisor: something sits between station and unit.";
    /// The product's network credentials could not be read.
    CredentialsUnreadable = "credentials-unreadable", StopLine, "Check the credentials file that the product names, and its permissions.";
    /// The product needs a debug probe, and the slot has none.
    LinkUnsuitable = "link-unsuitable", StopLine, "Keys that the station makes travel over a debug probe only: give this order a slot with a probe.";
    /// The station could not make a key.
    StationKeyUnavailable = "station-key-unavailable", StopLine, "Run `keyline doctor`: this station can't make keys at the moment.";
    /// The record in flash is not what was sent.
    RecordMismatch = "record-mismatch", Retry, "Run again; if it fails again, scrap the unit.";
    /// The proof did not verify.
    ProofInvalid = "proof-invalid", Quarantine, "Set the unit apart and call a supervisor: its proof is not valid.";
    /// The unit refused what it was asked.
    UnitRefused = "unit-refused", Retry, "Run again; if it fails again, call a line engineer with this message.";
    /// The unit is sealed, and what was asked needs the product authority.
    UnitSealed = "unit-sealed", Quarantine, "The unit is sealed with another identity. Rework needs the product authority or a full chip erase.";
    /// Read-back protection did not hold.
    ProtectionNotHeld = "protection-not-held", Quarantine, "Set the unit apart: its read-back protection does not hold.";
    /// A locked unit whose identity can't be told.
    LockedUnknown = "locked-unknown", Quarantine, "Set the unit apart: it is locked and nobody knows who it is. Scan its serial, or read it over the serial link.";
    /// The unit is in quarantine.
    Quarantined = "quarantined", Quarantine, "The unit is in quarantine. A supervisor must decide what becomes of it.";
    /// The unit was scrapped.
    Scrapped = "scrapped", Quarantine, "The unit was scrapped. Put it in the scrap bin.";
    /// The same unit is in another slot at this moment.
    UnitBusy = "unit-busy", Retry, "The same device id is being provisioned in another slot. Check the cabling.";
    /// The unit was finished for another work order.
    UnitOfAnotherOrder = "unit-of-another-order", Retry, "Put the unit with the finished units of its own work order.";
    /// The registry can't be reached.
    RegistryUnreachable = "registry-unreachable", StopLine, "Check the network and the registry's address, then run `keyline doctor`.";
    /// The registry refused for a reason of its own.
    RegistryRefused = "registry-refused", StopLine, "Call a line engineer with this message.";
    /// The work order has all its units.
    OrderFilled = "order-filled", StopLine, "The work order is complete. Choose the next one.";
    /// The work order was closed.
    OrderClosed = "order-closed", StopLine, "The work order is closed. Choose an open one.";
    /// The station was asked to stop.
    Stopped = "stopped", Retry, "The line was stopped. Run again: the unit goes on where it stopped.";
}

/// Why a run failed: what was expected, what came, what to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The code.
    pub code: FailureCode,
    /// What was expected and what came, with its causes.
    pub message: String,
    /// What to do next.
    pub next: String,
}

impl Failure {
    /// A failure whose next action is the code's own.
    #[must_use]
    pub fn new(code: FailureCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            next: code.next().to_owned(),
        }
    }
}
