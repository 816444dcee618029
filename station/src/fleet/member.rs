//! The members of a row, the same in CSV and JSON Lines, and what they must be.

use std::fmt;

use keyline_protocol::identity::{DeviceId, fingerprint};
use serde_json::Value;

use super::jwk;
use super::key::DeviceKey;
use super::refusal::{Refusal, RefusalCode, RefusedRow};
use super::seen::ImportedKey;
use crate::line::serial_number;
use crate::record::{AlgorithmName, DeviceIdText, Name};

/// A member of a row: a column's name, or a name in a JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    DeviceId,
    PublicKey,
    Jwk,
    Product,
    Serial,
    Fingerprint,
    Algorithm,
    State,
    PinnedAt,
    RevokedAt,
}

impl Member {
    /// Those that people write, then those that an export adds.
    pub(super) const ALL: [Self; 10] = [
        Self::DeviceId,
        Self::PublicKey,
        Self::Jwk,
        Self::Product,
        Self::Serial,
        Self::Fingerprint,
        Self::Algorithm,
        Self::State,
        Self::PinnedAt,
        Self::RevokedAt,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::DeviceId => "device_id",
            Self::PublicKey => "public_key",
            Self::Jwk => "jwk",
            Self::Product => "product",
            Self::Serial => "serial",
            Self::Fingerprint => "fingerprint",
            Self::Algorithm => "algorithm",
            Self::State => "state",
            Self::PinnedAt => "pinned_at_ms",
            Self::RevokedAt => "revoked_at_ms",
        }
    }

    pub(super) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|member| member.name() == name)
    }

    const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Member {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// What a row says, by member. An empty text says nothing.
#[derive(Default)]
pub(super) struct Members {
    texts: [Option<String>; Member::ALL.len()],
    jwk: Option<Value>,
}

impl Members {
    /// Enters a text.
    pub(super) fn put(&mut self, member: Member, text: String) {
        if !text.trim().is_empty()
            && let Some(place) = self.texts.get_mut(member.index())
        {
            *place = Some(text);
        }
    }

    /// Enters a key as a JSON object.
    pub(super) fn put_jwk(&mut self, jwk: Value) {
        self.jwk = Some(jwk);
    }

    fn get(&self, member: Member) -> Option<&str> {
        let text = self.texts.get(member.index())?.as_deref();
        text.map(str::trim)
    }

    /// The device, where its id can be read.
    pub(super) fn device_id(&self) -> Option<DeviceIdText> {
        self.get(Member::DeviceId)
            .and_then(DeviceId::parse)
            .map(DeviceIdText)
    }

    /// Checks everything that can be checked without other rows; `product` is that of rows which name none.
    pub(super) fn check(
        &self,
        line: u64,
        product: Option<&Name>,
    ) -> Result<ImportedKey, RefusedRow> {
        let device_id = self.device_id();
        self.checked(line, product)
            .map_err(|refusal| refusal.at(line, device_id))
    }

    fn checked(&self, line: u64, product: Option<&Name>) -> Result<ImportedKey, Refusal> {
        let device_id = self.checked_device_id()?;
        let key = self.key()?;
        self.check_derived(&key)?;
        let (product, serial) = (self.product(product)?, self.serial()?);
        if serial.is_some() && product.is_none() {
            return Err(Refusal::new(
                RefusalCode::Missing,
                "expected a product beside the serial, got none",
                "Name the product in the row, or for all rows with --product: a serial is one of a product.",
            ));
        }
        Ok(ImportedKey {
            line,
            device_id,
            algorithm: AlgorithmName(key.algorithm()),
            product,
            serial,
            public_key: key.into_spki(),
        })
    }

    /// What stands there is not repeated: it might be a key that slipped into the wrong column.
    fn checked_device_id(&self) -> Result<DeviceIdText, Refusal> {
        let text = self
            .get(Member::DeviceId)
            .ok_or_else(|| missing("a device_id"))?;
        self.device_id().ok_or_else(|| {
            let length = text.chars().count();
            let got = text
                .chars()
                .position(|found| !found.is_ascii_hexdigit())
                .filter(|_| length == 24)
                .map_or_else(
                    || format!("{length} characters"),
                    |at| format!("another character at position {}", at + 1),
                );
            Refusal::new(
                RefusalCode::BadDeviceId,
                format!("expected a device id of 24 hexadecimal digits, got {got}"),
                "Write the family's 8 digits and the chip's 16, without separators.",
            )
        })
    }

    fn key(&self) -> Result<DeviceKey, Refusal> {
        match (self.get(Member::PublicKey), &self.jwk) {
            (Some(text), None) => Ok(DeviceKey::parse(text)?),
            (None, Some(value)) => Ok(jwk::parse(value)?),
            (None, None) => Err(missing("a public key (public_key or jwk)")),
            (Some(_), Some(_)) => Err(Refusal::new(
                RefusalCode::NotAKey,
                "expected public_key or jwk, got both",
                "Keep one of them.",
            )),
        }
    }

    /// What an export says beside the key must fit it, and the key must be in force.
    fn check_derived(&self, key: &DeviceKey) -> Result<(), Refusal> {
        let mismatch = |what: &str| {
            Err(Refusal::new(
                RefusalCode::Mismatch,
                format!("expected the key's own {what}, got that of another key"),
                "The row was changed or mixed up: export it again.",
            ))
        };
        if let Some(text) = self.get(Member::Fingerprint)
            && !text.eq_ignore_ascii_case(&hex::encode(fingerprint(key.spki())))
        {
            return mismatch("fingerprint");
        }
        if let Some(text) = self.get(Member::Algorithm)
            && text != key.algorithm().name()
        {
            return mismatch("algorithm");
        }
        let active = self
            .get(Member::State)
            .is_none_or(|state| state == "active");
        if !active || self.get(Member::RevokedAt).is_some() {
            return Err(Refusal::new(
                RefusalCode::NotActive,
                "expected a key in force (state \"active\"), got one that is not",
                "Leave such rows out: a key that was taken back never comes again.",
            ));
        }
        Ok(())
    }

    fn product(&self, otherwise: Option<&Name>) -> Result<Option<String>, Refusal> {
        let Some(text) = self.get(Member::Product) else {
            return Ok(otherwise.map(|name| name.as_str().to_owned()));
        };
        let name: Name = text.parse().map_err(|_| {
            Refusal::new(
                RefusalCode::BadProduct,
                "expected a product's name: 1 to 64 letters, digits and the characters . _ -",
                "Look at what there is: `keyline product list`.",
            )
        })?;
        Ok(Some(name.into()))
    }

    fn serial(&self) -> Result<Option<String>, Refusal> {
        let Some(text) = self.get(Member::Serial) else {
            return Ok(None);
        };
        let length = text.chars().count();
        let refuse = |got: String| {
            Refusal::new(
                RefusalCode::BadSerial,
                format!(
                    "expected a serial of 1 to {} visible characters, got {got}",
                    serial_number::LENGTH_MAX
                ),
                "Correct the serial, or leave it empty.",
            )
        };
        if length > serial_number::LENGTH_MAX {
            return Err(refuse(length.to_string()));
        }
        if text.chars().any(char::is_control) {
            return Err(refuse("one with control characters".to_owned()));
        }
        Ok(Some(text.to_owned()))
    }
}

fn missing(what: &str) -> Refusal {
    Refusal::new(
        RefusalCode::Missing,
        format!("expected {what}, got none"),
        "Every row needs a device_id and its public key.",
    )
}

/// A name that is not known, as far as it may be repeated: a key that slipped in here must not be.
pub(super) fn shown_name(name: &str) -> String {
    const SHOWN_LENGTH_MAX: usize = 24;
    let plain = |found: char| found.is_ascii_alphanumeric() || " _-.;".contains(found);
    if name.len() <= SHOWN_LENGTH_MAX && name.chars().all(plain) {
        format!("\"{name}\"")
    } else {
        format!("a name of {} characters", name.chars().count())
    }
}

/// The names that people write, as a list.
pub(super) fn known_names() -> String {
    let names: Vec<_> = Member::ALL.iter().map(|member| member.name()).collect();
    names.join(", ")
}
