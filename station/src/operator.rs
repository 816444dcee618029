//! Who acts: a named principal with a role, shown by a token. Reaching the home, or the shell, is not authority.

use std::fmt;
use std::path::{Path, PathBuf};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// What an operator may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Provisions units.
    Technician,
    /// And decides over units and orders.
    Supervisor,
    /// Revokes and rotates pins, together with a second person: nothing else.
    KeyAdministrator,
    /// Everything.
    Administrator,
    /// Reads everything and takes it away; changes nothing else.
    Auditor,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [
        Self::Technician,
        Self::Supervisor,
        Self::KeyAdministrator,
        Self::Administrator,
        Self::Auditor,
    ];

    /// The name in the journal and in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Technician => "technician",
            Self::Supervisor => "supervisor",
            Self::KeyAdministrator => "key-administrator",
            Self::Administrator => "administrator",
            Self::Auditor => "auditor",
        }
    }

    /// The role of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Whether this role includes a permission.
    #[must_use]
    pub const fn may(self, permission: Permission) -> bool {
        match self {
            Self::Technician => matches!(permission, Permission::Provision),
            Self::Supervisor => matches!(
                permission,
                Permission::Provision
                    | Permission::ManageOrders
                    | Permission::DecideUnits
                    | Permission::Export
            ),
            Self::KeyAdministrator => matches!(permission, Permission::ManagePins),
            Self::Administrator => true,
            Self::Auditor => matches!(permission, Permission::Export),
        }
    }
}

/// Something that not everybody may do: it changes the state of the station, or takes data away from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Run units of an order.
    Provision,
    /// Add and close work orders.
    ManageOrders,
    /// Release, scrap or rework units.
    DecideUnits,
    /// Add and retire products: whom devices will trust.
    ManageProducts,
    /// Take data away: units, and the audit log opened.
    Export,
    /// Put another station in the place of this one.
    ReplaceStation,
    /// Add and retire the audit log's keys: whom auditors will trust.
    ManageLogKeys,
    /// Enrol and retire stations: who may enter pins.
    ManageStations,
    /// Take in devices that exist already: the cloud trusts them on nobody's proof.
    ImportFleets,
    /// Revoke and rotate pins: which keys the cloud trusts.
    ManagePins,
    /// Install signed rosters and enrolments, and replace the root: who may say yes.
    ManageAuthority,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 11] = [
        Self::Provision,
        Self::ManageOrders,
        Self::DecideUnits,
        Self::ManageProducts,
        Self::Export,
        Self::ReplaceStation,
        Self::ManageLogKeys,
        Self::ManageStations,
        Self::ImportFleets,
        Self::ManagePins,
        Self::ManageAuthority,
    ];

    /// What it allows, as the end of "may not …".
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Provision => "provision units",
            Self::ManageOrders => "add or close work orders",
            Self::DecideUnits => "release, scrap or rework units",
            Self::ManageProducts => "add or retire products",
            Self::Export => "export data",
            Self::ReplaceStation => "replace this station",
            Self::ManageLogKeys => "add or retire the audit log's keys",
            Self::ManageStations => "enrol or retire stations",
            Self::ImportFleets => "import devices that exist already",
            Self::ManagePins => "revoke or rotate pins",
            Self::ManageAuthority => "change who may say yes",
        }
    }
}

/// Somebody who has shown a token that the journal knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The operator's random id: the only thing of him that the log carries.
    pub operator: String,
    /// His role.
    pub role: Role,
}

impl Principal {
    /// Nothing, where the role allows it.
    ///
    /// # Errors
    /// [`OperatorError::NotAllowed`] where it doesn't.
    pub const fn authorise(&self, permission: Permission) -> Result<(), OperatorError> {
        if self.role.may(permission) {
            Ok(())
        } else {
            Err(OperatorError::NotAllowed {
                role: self.role,
                permission,
            })
        }
    }
}

/// Why somebody may not act.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// The token's file can't be read.
    #[error("the operator's token file {} can't be read", .path.display())]
    TokenUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others can read it.
    #[error("expected the operator's token file {} to be readable by its owner only (mode 0600), got mode {mode:04o}", .path.display())]
    TokenExposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not a token.
    #[error("expected an operator's token of {TOKEN_LENGTH} characters, got something else")]
    TokenMalformed,
    /// Nobody has it.
    #[error("no operator of this station has this token")]
    TokenUnknown,
    /// The operator may not act any more.
    #[error("the operator with this token is disabled")]
    Disabled,
    /// The role forbids it.
    #[error("the role {} may not {}", .role.name(), .permission.words())]
    NotAllowed {
        /// The operator's role.
        role: Role,
        /// What it lacks.
        permission: Permission,
    },
}

/// The random bytes of a token.
const TOKEN_BYTES: usize = 32;

/// The characters of a token: 32 bytes in base64url without padding.
const TOKEN_LENGTH: usize = 43;

/// What an operator shows: 32 random bytes, written in base64url. Neither shown nor copied by accident.
pub struct Token(Zeroizing<String>);

impl Token {
    /// A new random token.
    #[must_use]
    pub fn generate() -> Self {
        let bytes: Zeroizing<[u8; TOKEN_BYTES]> = Zeroizing::new(rand::random());
        Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes)))
    }

    /// Reads a token, with a line end or without.
    ///
    /// # Errors
    /// [`OperatorError::TokenMalformed`] for anything else.
    pub fn parse(text: &str) -> Result<Self, OperatorError> {
        let text = text.trim_end_matches(['\r', '\n']);
        let bytes = URL_SAFE_NO_PAD.decode(text).map(Zeroizing::new);
        match bytes {
            Ok(bytes) if bytes.len() == TOKEN_BYTES => Ok(Self(Zeroizing::new(text.to_owned()))),
            _ => Err(OperatorError::TokenMalformed),
        }
    }

    /// Reads a token's file, which nobody but its owner may read.
    ///
    /// # Errors
    /// [`OperatorError`] where it can't be read, others can read it, or it holds no token.
    pub fn read(path: &Path) -> Result<Self, OperatorError> {
        use std::io::Read;
        use std::os::unix::fs::PermissionsExt;
        let unreadable = |source| OperatorError::TokenUnreadable {
            path: path.to_owned(),
            source,
        };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(OperatorError::TokenExposed {
                path: path.to_owned(),
                mode,
            });
        }
        let mut text = Zeroizing::new(String::with_capacity(TOKEN_LENGTH * 2));
        file.take(TOKEN_LENGTH as u64 + 2)
            .read_to_string(&mut text)
            .map_err(unreadable)?;
        Self::parse(&text)
    }

    /// The characters, to be written into a file or sent over the home's socket, and nowhere else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What the journal knows of it. The token has 256 random bits: its digest can't be guessed.
    #[must_use]
    pub fn digest(&self) -> TokenDigest {
        TokenDigest(Sha256::digest(self.0.as_bytes()).into())
    }
}

/// SHA-256 of a token's characters.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct TokenDigest(#[serde(with = "hex::serde")] pub [u8; 32]);

impl PartialEq for TokenDigest {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for TokenDigest {}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenDigest")
    }
}

/// A new operator id: 16 random bytes in hexadecimal, which say nothing of the person.
#[must_use]
pub fn new_operator_id() -> String {
    hex::encode(rand::random::<[u8; 16]>())
}
