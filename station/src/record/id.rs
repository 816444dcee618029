//! One id type a kind, so that an order's id can't stand where a run's is meant.

use std::fmt;
use std::str::FromStr;

use keyline_protocol::identity::Id;
use serde::{Deserialize, Serialize};

macro_rules! id_type {
    ($(#[$documentation:meta] $name:ident),+ $(,)?) => {$(
        #[$documentation]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub struct $name(Id);

        impl $name {
            /// A new id: UUID version 7 (RFC 9562, 5.7), so that ids sort by the time they were made.
            #[must_use]
            pub fn generate() -> Self {
                Self(uuid_version_7())
            }

            /// The id that stands in these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: Id) -> Self {
                Self(bytes)
            }

            /// The sixteen bytes, as they stand in the protocol and the databases.
            #[must_use]
            pub const fn as_bytes(&self) -> &Id {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let mut bytes = [0; 16];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| IdError { got: text.to_owned() })?;
                Ok(Self(bytes))
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    )+};
}

id_type! {
    /// A product.
    ProductId,
    /// A work order.
    OrderId,
    /// One attempt at one unit.
    RunId,
    /// A station.
    StationId,
}

/// The text is no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an id of 32 hexadecimal digits, got \"{got}\"")]
pub struct IdError {
    got: String,
}

fn uuid_version_7() -> Id {
    let mut bytes: Id = rand::random();
    let milliseconds = crate::clock::wall_ms().to_be_bytes();
    bytes[..6].copy_from_slice(&milliseconds[2..]);
    bytes[6] = bytes[6] & 0x0f | 0x70;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    bytes
}
