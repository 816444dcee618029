//! Who may say yes, as signed data: a root policy of which a station has the digest, bundles that its keys sign (rosters, products,
//! station enrolments), and acts that two people of a roster sign.
//!
//! Everything is a text that a person can read and a note that other software can check (C2SP `signed-note`, Ed25519). Each text's first
//! line has a space, so that none of them can be taken for a checkpoint (see [`crate::audit::sign_statement`]), and is written in one way
//! only: reading a text and writing it again gives the same bytes. Nothing here knows a database or a network: which version was seen
//! last is told by whoever asks.

mod accepted;
mod act;
mod approved;
mod body;
mod bundle;
mod cloud_keys;
mod document;
mod error;
mod lifetime;
mod lines;
mod policy;
mod roster;

pub use accepted::{AcceptedBundle, KnownVersion};
pub use act::{ACT_LIFETIME_DEFAULT_MS, ACT_LIFETIME_MAX_MS, Act, ActKind, ActTerms};
pub use approved::{ActRequest, ApprovedAct, Possession};
pub use body::{
    BundleBody, BundleKind, DigestHex, EnrolmentState, ProductBundle, StationEnrolment,
};
pub use bundle::{Bundle, BundleTerms};
pub use cloud_keys::{CloudKeyStep, NumberedCloudKey, next_cloud_key};
pub use document::{Document, DocumentText, add_signature, merge};
pub use error::AuthorityError;
pub use policy::{POLICY_KEYS_MAX, RootPolicy};
pub use roster::{MEMBERS_MAX, Member, Roster};

/// How far ahead of this machine's clock a text may say that it was made, in milliseconds: clocks of machines that set them by the
/// network differ by less.
const SKEW_MAX_MS: u64 = 300_000;
