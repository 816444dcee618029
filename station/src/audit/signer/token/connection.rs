//! One process's connection to one PKCS #11 module: initialised, logged in and with its keys found when they are first needed, and all
//! of it anew after a failure.
//!
//! PKCS #11 is initialised once a process and module, and a token that went away comes back only to a module that was finalised and
//! initialised again (checked empirically with SoftHSM 2.6). So there is one connection a module, and one thread has it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::ObjectHandle;
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use ed25519_dalek::{Signature, VerifyingKey};

use super::TokenKey;
use super::error::{ModuleError, TokenError};
use super::key::{self, KeyFacts};
use super::pin::{self, Stamp};

/// The connection. Nothing is connected before it is asked for.
#[derive(Debug)]
pub(super) struct Connection {
    module: PathBuf,
    /// Loaded once: unloading a library under a hardware driver's threads is asking for trouble.
    library: Option<Pkcs11>,
    live: Option<Live>,
    /// PINs that their tokens refused, by file.
    refused_pins: BTreeMap<PathBuf, Stamp>,
}

/// What an initialised module gave.
#[derive(Debug)]
struct Live {
    context: Pkcs11,
    /// By the token's label.
    sessions: BTreeMap<String, Session>,
    /// By the labels of token and key.
    keys: BTreeMap<(String, String), Found>,
}

/// A key that was found and checked.
#[derive(Clone, Debug)]
pub(super) struct Found {
    handle: ObjectHandle,
    pub(super) facts: KeyFacts,
}

/// Names what was being done when the module refused.
pub(super) fn call(doing: &'static str) -> impl FnOnce(Error) -> TokenError {
    move |error| TokenError::Call {
        doing,
        source: ModuleError(error),
    }
}

impl Connection {
    /// A connection to the library in this file.
    pub(super) const fn new(module: PathBuf) -> Self {
        Self {
            module,
            library: None,
            live: None,
            refused_pins: BTreeMap::new(),
        }
    }

    /// Signs, with the key that has this public key. Where the token does not sign at once, it is connected anew and asked once more.
    pub(super) fn sign(
        &mut self,
        wanted: &TokenKey,
        public_key: &[u8; 32],
        text: &[u8],
    ) -> Result<[u8; 64], TokenError> {
        match self.sign_once(wanted, public_key, text) {
            Err(error) if !error.needs_a_person() => {
                self.disconnect();
                self.sign_once(wanted, public_key, text)
            }
            signed => signed,
        }
        .inspect_err(|_| self.disconnect())
    }

    fn sign_once(
        &mut self,
        wanted: &TokenKey,
        public_key: &[u8; 32],
        text: &[u8],
    ) -> Result<[u8; 64], TokenError> {
        let found = self.key(wanted)?;
        if found.facts.public_key != *public_key {
            return Err(TokenError::OtherKey {
                label: wanted.label.clone(),
                expected: hex::encode(public_key),
                got: hex::encode(found.facts.public_key),
            });
        }
        let session = self.session(wanted)?;
        sign_with(session, wanted, &found, text)
    }

    /// Finds and checks a key anew, and has it sign `text`: that shows that it is the public key's other half.
    pub(super) fn open(&mut self, wanted: &TokenKey, text: &[u8]) -> Result<KeyFacts, TokenError> {
        self.forget(wanted);
        let found = match self.key(wanted) {
            Err(error) if !error.needs_a_person() => {
                self.disconnect();
                self.key(wanted)
            }
            found => found,
        };
        let opened = found.and_then(|found| {
            let session = self.session(wanted)?;
            sign_with(session, wanted, &found, text)?;
            Ok(found.facts)
        });
        opened.inspect_err(|_| self.disconnect())
    }

    /// Makes a key pair whose private half never leaves the token.
    pub(super) fn generate(&mut self, wanted: &TokenKey) -> Result<(), TokenError> {
        self.forget(wanted);
        let made = self
            .session(wanted)
            .and_then(|session| key::generate(session, &wanted.label));
        made.inspect_err(|_| self.disconnect())
    }

    /// Lets go of the module, until it is needed again. What fails here was gone already.
    pub(super) fn disconnect(&mut self) {
        if let Some(Live {
            context, sessions, ..
        }) = self.live.take()
        {
            drop(sessions);
            let _ = context.finalize();
        }
    }

    fn forget(&mut self, wanted: &TokenKey) {
        if let Some(live) = &mut self.live {
            live.keys.remove(&names(wanted));
        }
    }

    /// The key, found and checked; from memory where it was before.
    fn key(&mut self, wanted: &TokenKey) -> Result<Found, TokenError> {
        let names = names(wanted);
        if let Some(found) = self.live.as_ref().and_then(|live| live.keys.get(&names)) {
            return Ok(found.clone());
        }
        let session = self.session(wanted)?;
        let (handle, facts) = key::find(session, &wanted.label)?;
        let found = Found { handle, facts };
        if let Some(live) = &mut self.live {
            live.keys.insert(names, found.clone());
        }
        Ok(found)
    }

    /// A session on the token, logged in.
    fn session(&mut self, wanted: &TokenKey) -> Result<&Session, TokenError> {
        if self.live.is_none() {
            self.live = Some(self.initialise()?);
        }
        let Self {
            live: Some(live),
            refused_pins,
            ..
        } = self
        else {
            return Err(TokenError::Lost);
        };
        // Looked up twice, because a borrow that is returned early would last too long.
        if !live.sessions.contains_key(&wanted.token) {
            let session = log_in(&live.context, wanted, refused_pins)?;
            live.sessions.insert(wanted.token.clone(), session);
        }
        live.sessions.get(&wanted.token).ok_or(TokenError::Lost)
    }

    fn initialise(&mut self) -> Result<Live, TokenError> {
        let context = if let Some(library) = &self.library {
            library.clone()
        } else {
            let library = Pkcs11::new(&self.module).map_err(|error| TokenError::Module {
                module: self.module.clone(),
                source: ModuleError(error),
            })?;
            self.library.insert(library).clone()
        };
        let arguments = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
        let initialised = match context.initialize(arguments) {
            // A thread that ended in the middle left it so; nobody else in this process uses the module.
            Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => context
                .clone()
                .finalize()
                .and_then(|()| context.initialize(arguments)),
            initialised => initialised,
        };
        initialised.map_err(call("being initialised"))?;
        Ok(Live {
            context,
            sessions: BTreeMap::new(),
            keys: BTreeMap::new(),
        })
    }
}

fn names(wanted: &TokenKey) -> (String, String) {
    (wanted.token.clone(), wanted.label.clone())
}

/// The slot with the token of that label.
fn slot(context: &Pkcs11, wanted: &TokenKey) -> Result<Slot, TokenError> {
    let slots = context
        .get_slots_with_token()
        .map_err(call("its slots were listed"))?;
    let mut found = Vec::new();
    let mut matching = Vec::new();
    for slot in slots {
        // A slot whose token is just being pulled out is none.
        let Ok(token) = context.get_token_info(slot) else {
            continue;
        };
        if !token.token_initialized() {
            continue;
        }
        if token.label() == wanted.token {
            matching.push(slot);
        }
        found.push(token.label().to_owned());
    }
    match matching.as_slice() {
        [slot] => Ok(*slot),
        _ => Err(TokenError::NoToken {
            token: wanted.token.clone(),
            found,
        }),
    }
}

fn log_in(
    context: &Pkcs11,
    wanted: &TokenKey,
    refused_pins: &mut BTreeMap<PathBuf, Stamp>,
) -> Result<Session, TokenError> {
    let slot = slot(context, wanted)?;
    let pin = pin::read(&wanted.pin_file)?;
    let refused = || TokenError::PinRefused {
        path: wanted.pin_file.clone(),
    };
    if refused_pins.get(&wanted.pin_file) == Some(&pin.stamp) {
        return Err(refused());
    }
    // Read and write: keys are made in the same session; signing needs no more than reading.
    let session = context
        .open_rw_session(slot)
        .map_err(call("a session was opened"))?;
    match session.login(UserType::User, Some(&pin.pin)) {
        Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
        Err(Error::Pkcs11(
            RvError::PinIncorrect
            | RvError::PinInvalid
            | RvError::PinLenRange
            | RvError::PinLocked
            | RvError::PinExpired,
            _,
        )) => {
            refused_pins.insert(wanted.pin_file.clone(), pin.stamp);
            Err(refused())
        }
        Err(error) => Err(call("logging in")(error)),
    }
}

/// Signs in one part (SoftHSM knows no other for Ed25519) and looks at the signature before anybody else sees it.
fn sign_with(
    session: &Session,
    wanted: &TokenKey,
    found: &Found,
    text: &[u8],
) -> Result<[u8; 64], TokenError> {
    let mechanism = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure));
    let signature = session
        .sign(&mechanism, found.handle, text)
        .map_err(call("signing"))?;
    let verified = VerifyingKey::from_bytes(&found.facts.public_key)
        .and_then(|key| key.verify_strict(text, &Signature::from_slice(&signature)?));
    match (verified, <[u8; 64]>::try_from(signature)) {
        (Ok(()), Ok(signature)) => Ok(signature),
        _ => Err(TokenError::NotAPair {
            label: wanted.label.clone(),
        }),
    }
}
