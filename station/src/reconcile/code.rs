//! The codes of findings, each with its weight and what to do about it.

use super::{Finding, Severity};

macro_rules! codes {
    ($($(#[$documentation:meta])+ $variant:ident = $name:literal, $severity:ident, $next:literal;)+) => {
        /// What a verification can find. Scripts depend on the names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$documentation])+ $variant,)+
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// How much it weighs.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)+ }
            }

            /// What to do next.
            #[must_use]
            pub const fn next(self) -> &'static str {
                match self { $(Self::$variant => $next,)+ }
            }
        }
    };
}

codes! {
    /// Indexes are missing among the entries.
    EntryMissing = "entry-missing", Violation, "Compare with a backup or an exported log; secure the station before anybody uses it again.";
    /// An entry stands where none can.
    EntryMisplaced = "entry-misplaced", Violation, "Secure the station: somebody has put an entry into its journal.";
    /// The bytes of a leaf are none.
    LeafUnreadable = "leaf-unreadable", Violation, "Compare this entry with a backup or an exported log.";
    /// A body is not the one that its leaf commits to.
    BodyChanged = "body-changed", Violation, "The leaf is what was signed; find the body in a backup or an export, and who changed it here.";
    /// The public envelope says something else than the body.
    EnvelopeDiffers = "envelope-differs", Violation, "Compare this entry with a backup or an exported log.";
    /// This software can't read a body that the log vouches for.
    BodyUnreadable = "body-unreadable", Gap, "Verify with the software version that wrote it, or a newer one.";
    /// The tree head is not that of the entries.
    TreeHeadDiffers = "tree-head-differs", Violation, "Secure the station: entries and tree head were not written together.";
    /// A signed root is not that of the entries.
    RootDiffers = "root-differs", Violation, "Entries before this checkpoint were changed, removed or put in: compare them with a backup or an export.";
    /// A stored checkpoint is none, or not the one of its row.
    CheckpointUnreadable = "checkpoint-unreadable", Violation, "Find this checkpoint in a backup, at a witness or in the registry.";
    /// No key in force has signed a checkpoint.
    CheckpointNotSigned = "checkpoint-not-signed", Violation, "Give the key with which this checkpoint was to be signed, or find out who signed it.";
    /// A key in force is missing under a checkpoint.
    CheckpointSignatureMissing = "checkpoint-signature-missing", Violation, "Find out why this key did not sign: it must, from its joining to its retirement.";
    /// A checkpoint of more leaves than there are entries.
    CheckpointBeyondLog = "checkpoint-beyond-log", Violation, "Entries were cut off: find them in a backup, and hold the log against its witnesses.";
    /// There must have been a checkpoint where none is stored.
    CheckpointMissing = "checkpoint-missing", Violation, "A stored checkpoint was removed: find it in a backup, at a witness or in the registry.";
    /// A key of the log joined, signed or left where it could not.
    KeyNotInForce = "key-not-in-force", Violation, "Find out who had this key at that time.";
    /// The log's first key was not given, and the log that a given key signs retires it.
    KeyInherited = "key-inherited", Explained, "Nothing is left to do.";
    /// Time since the machine's start went back.
    MonotonicWentBack = "monotonic-went-back", Violation, "Nobody can set this clock: these leaves were not written in their order.";
    /// Wall time went back over a restart, and no leaf says so.
    ClockWentBack = "clock-went-back", Violation, "Find out who set the station's clock back, and why its software did not record it.";
    /// Wall time jumped, and no leaf says so.
    ClockJumped = "clock-jumped", Violation, "Find out who set the station's clock, and why its software did not record it.";
    /// Wall time jumped, and a leaf says so.
    ClockStepped = "clock-stepped", Explained, "Times before and after it can't be compared without this step.";
    /// The leaves do not say which start of the machine they are of.
    BootUnknown = "boot-unknown", Gap, "The station has no boot id: its times can't be held against a clock that nobody sets.";
    /// A row that the log speaks of is not there.
    RowMissing = "row-missing", Violation, "The log is what was signed: restore the row from it, and find out who removed it.";
    /// A row of which the log says nothing.
    RowAdded = "row-added", Violation, "The log is what was signed: find out who put this row in.";
    /// A column says something else than the log.
    RowChanged = "row-changed", Violation, "The log is what was signed: find out who changed this column.";
    /// A logged change that the journal's rules refuse.
    RuleBroken = "rule-broken", Violation, "The station's software can't have taken this change: find out what wrote it.";
    /// The tables could not be compared.
    TablesNotCompared = "tables-not-compared", Gap, "Verify again with the software version that wrote the log, and more space for temporary files.";
    /// A signature that shows possession of a key does not verify.
    PossessionInvalid = "possession-invalid", Violation, "Do not trust this unit's key: revoke its pin and rework the unit.";
    /// The signature of a proof does not verify.
    ProofInvalid = "proof-invalid", Violation, "Do not trust this unit: revoke its pin and rework the unit.";
    /// The transcript of a proof is none.
    TranscriptUnreadable = "transcript-unreadable", Violation, "Do not trust this unit: revoke its pin and rework the unit.";
    /// A nonce is not made as it must be.
    NonceWrong = "nonce-wrong", Violation, "The proof may be an old one: revoke the pin and rework the unit.";
    /// A proof names a checkpoint that the log did not have then.
    NonceCheckpointUnknown = "nonce-checkpoint-unknown", Violation, "The proof may be older than it claims, or the log's past was written anew: hold the log against its witnesses.";
    /// A proof speaks of something else than its run.
    ProofDiffersFromRun = "proof-differs-from-run", Violation, "The unit was not built as the order says: set it apart and rework it.";
    /// A proof was a MAC, which nobody can check afterwards.
    ProofWeak = "proof-weak", Explained, "Only the station could check this proof; the unit is counted as weak.";
    /// Evidence that names no unit.
    EvidenceWithoutUnit = "evidence-without-unit", Gap, "Look at the run: its unit was not bound to it.";
    /// A leaf about a key to which nothing led.
    KeyWithoutCause = "key-without-cause", Violation, "The station's software can't have come to this: find out what wrote it.";
    /// A unit passed, and no leaf says that its key was pinned.
    PassedWithoutPin = "passed-without-pin", Violation, "Do not trust this unit: set it apart and rework it.";
    /// A unit waits for the registry.
    UnitHeld = "unit-held", Gap, "Connect the registry and run the unit again, or wait for `keyline sync`; do not ship it.";
    /// A unit's run has no end.
    UnitInterrupted = "unit-interrupted", Gap, "Run the unit again: it goes on where it stopped.";
    /// A unit was set apart.
    UnitQuarantined = "unit-quarantined", Explained, "Look at why it was set apart, then release or scrap it.";
    /// A unit's last run failed.
    UnitFailed = "unit-failed", Explained, "Run the unit again, or scrap it.";
    /// A unit was taken out.
    UnitScrapped = "unit-scrapped", Explained, "Nothing is left to do.";
    /// A unit that is scrapped or never finished is trusted by the cloud.
    TrustedUnfinished = "trusted-unfinished", Gap, "The cloud trusts a unit that is not a finished one: finish it, or revoke its pin.";
    /// How far an order is.
    OrderStanding = "order-standing", Explained, "Compare with what the customer ordered and received.";
    /// More units were shipped than are fit for it.
    ShippedMore = "shipped-more", Gap, "Compare the shipping papers with the order's units; units may have failed after they were shipped.";
    /// The registry was not asked, or did not answer.
    RegistryNotAsked = "registry-not-asked", Gap, "Verify again with the registry at hand.";
    /// The registry holds what can't be read.
    RegistryUnreadable = "registry-unreadable", Violation, "Compare the registry with a backup: somebody has been at it.";
    /// Others have seen more of this log than there is.
    LogRolledBack = "log-rolled-back", Violation, "The journal was cut short or restored from an old copy: do not sign with it; use `keyline station replace`.";
    /// Others have seen another past of this log.
    LogForked = "log-forked", Violation, "The log's past was written anew, or two copies of its home are in use: secure the station and its key.";
    /// Two stations use one origin.
    OriginOfAnother = "origin-of-another", Violation, "Give one of the stations another name and a new home.";
    /// A checkpoint elsewhere was not signed by this log's keys.
    ForeignCheckpointNotSigned = "foreign-checkpoint-not-signed", Violation, "Somebody entered a checkpoint that this log never signed.";
    /// A given checkpoint can't be held against the log.
    KnownCheckpointUnusable = "known-checkpoint-unusable", Gap, "Check where this checkpoint comes from: it is not one of this log.";
    /// A trusted witness has cosigned a checkpoint that was signed by a key of which this log does not know.
    WitnessedUnknownKey = "witnessed-unknown-key", Violation, "Either the home is a copy from before a key joined the log, or somebody else signs in its name: ask who has that key.";
    /// The registry has refused a checkpoint of this log.
    LogAlarm = "log-alarm", Gap, "Look at the refused checkpoint and clear up how it came about.";
    /// The registry has no claim for a key of which the log says that it has.
    ClaimMissing = "claim-missing", Violation, "A claim was removed from the registry: compare it with a backup.";
    /// The registry does not trust a key of which the log says that it does.
    PinMissing = "pin-missing", Violation, "A pin was changed in the registry: compare it with a backup.";
    /// The registry trusts another key.
    PinDiffers = "pin-differs", Violation, "The cloud trusts a key that this unit did not show: revoke it, then compare the registry with a backup.";
    /// The registry and the log differ on how strong a proof was.
    PinWeakDiffers = "pin-weak-differs", Violation, "Compare the registry with a backup.";
    /// The registry trusts a key without a proof.
    PinWithoutProof = "pin-without-proof", Violation, "Nobody has shown this key: revoke it.";
    /// A stored proof does not verify.
    RegistryProofInvalid = "registry-proof-invalid", Violation, "Revoke the pin, and compare the registry with a backup.";
    /// A stored proof is not the one in the log.
    RegistryProofDiffers = "registry-proof-differs", Violation, "The log does not know this proof: revoke the pin, and compare the registry with a backup.";
    /// A stored claim does not verify.
    RegistryClaimInvalid = "registry-claim-invalid", Violation, "Somebody has been at this claim: compare the registry with a backup.";
    /// A claim in this station's name of which its log says nothing.
    ClaimNotInLog = "claim-not-in-log", Violation, "Somebody claimed in this station's name, or its log was cut short.";
    /// A pin in this station's name of which its log says nothing.
    PinNotInLog = "pin-not-in-log", Violation, "Somebody pinned in this station's name, or its log was cut short.";
    /// An alarm in this station's name of which its log says nothing.
    AlarmNotInLog = "alarm-not-in-log", Violation, "Somebody claimed in this station's name, or its log was cut short.";
    /// The registry does not have the serial with which a unit passed.
    SerialMissing = "serial-missing", Violation, "A serial was removed from the registry: compare it with a backup.";
    /// A serial in this station's name of which its log says nothing.
    SerialNotInLog = "serial-not-in-log", Violation, "Somebody labelled a unit in this station's name, or its log was cut short.";
    /// A claim that was entered, and the run ended before its leaf was written.
    ClaimUnacknowledged = "claim-unacknowledged", Gap, "Run the unit again: it goes on where it stopped.";
    /// A pin that was entered, and the run ended before its leaf was written.
    PinUnacknowledged = "pin-unacknowledged", Gap, "Run the unit again: it goes on where it stopped.";
    /// An alarm that was raised, and the run ended before its leaf was written.
    AlarmUnacknowledged = "alarm-unacknowledged", Gap, "Set the unit of this run apart: the registry took it for a clone.";
    /// A key that was claimed and never proved itself.
    KeyPending = "key-pending", Explained, "Run the unit again, or leave the key burnt.";
    /// A key in whose place the unit's next one came.
    KeySuperseded = "key-superseded", Explained, "Nothing is left to do: the key never returns.";
    /// A key in whose place a key came of which this log says nothing.
    SupersededElsewhere = "superseded-elsewhere", Gap, "Look for the unit at the other stations.";
    /// A key that was revoked, as the log says.
    KeyRevoked = "key-revoked", Explained, "Nothing is left to do: the key never returns.";
    /// A key that was revoked, of which this log says nothing.
    RevokedElsewhere = "revoked-elsewhere", Gap, "Ask who revoked it.";
    /// An act of two people that the registry does not obey.
    ActMissing = "act-missing", Violation, "A key that two people took back, or gave, is not as they agreed: have them sign the act anew, and compare the registry with a backup.";
    /// An act of two people that never got into the registry, and is not needed any more.
    ActNotEntered = "act-not-entered", Explained, "Nothing is left to do: the registry was out of reach or refused, and the key is not trusted.";
    /// A revocation in this station's name of which its log says nothing.
    RevocationNotInLog = "revocation-not-in-log", Violation, "Somebody revoked in this station's name, or its log was cut short.";
    /// A product in this station's name of which its log says nothing.
    BuildNotInLog = "build-not-in-log", Violation, "Somebody entered a product in this station's name, or its log was cut short.";
    /// Keys of an import are not in the registry.
    ImportRowsMissing = "import-rows-missing", Violation, "Claims were removed from the registry: compare it with a backup.";
    /// The registry has more keys of an import than it entered.
    ImportRowsAdded = "import-rows-added", Violation, "Somebody entered keys under this import's id: find out which, and revoke them.";
    /// An import that was cut off.
    ImportUnended = "import-unended", Gap, "Run the import again, with --resume where a state file was kept: what is in stays as it is.";
    /// Acts and imports of which this log says nothing.
    EnteredByOthers = "entered-by-others", Explained, "Verify the logs of the stations at which they were entered.";
    /// An alarm of the station's own.
    AlarmByStation = "alarm-by-station", Explained, "The station noticed before it asked the registry to enter the key.";
    /// Something happened while the verification was running.
    AfterSnapshot = "after-snapshot", Explained, "Verify again to have it looked at.";
}

impl Code {
    /// A finding under this code.
    pub(super) fn at(self, place: impl Into<String>, message: impl Into<String>) -> Finding {
        Finding {
            severity: self.severity(),
            code: self.name(),
            place: place.into(),
            message: message.into(),
            next: self.next().to_owned(),
        }
    }
}
