//! What stands on a unit's label.

use serde::{Deserialize, Serialize};

/// A serial of a product. Within a product it names one living unit at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Label {
    /// The product's name, as its signed bundle has it: its id is each station's own.
    pub product: String,
    /// The serial.
    pub serial: String,
}

/// What is entered for a unit, with the unit's label where it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labelled<T> {
    /// What is entered.
    pub entry: T,
    /// The label.
    pub label: Option<Label>,
}

/// Of a unit without a serial.
impl<T> From<T> for Labelled<T> {
    fn from(entry: T) -> Self {
        Self { entry, label: None }
    }
}
