//! Closing a unit, and what still opens it: seal, protection, authority, erasure.

use keyline_protocol::message::{AuthorisedCommand, Refusal, Response};

use crate::generator::Purpose;
use crate::hal::{Hal, Work};
use crate::unit::Unit;
use crate::{erasure, record_store, seal};

impl<H: Hal> Unit<H> {
    /// Answers `Seal`. Only a unit with a key and a record is sealed: another would be of no use, and nobody could open it.
    pub(crate) fn seal(&mut self, body: &mut [u8]) -> Result<Response<'static>, Refusal> {
        self.key()?;
        record_store::find(&self.hal, body).ok_or(Refusal::NoRecord)?;
        seal::seal(&mut self.hal)?;
        Ok(Response::Done)
    }

    /// Answers `Lock`.
    pub(crate) fn lock(&mut self) -> Result<Response<'static>, Refusal> {
        self.hal.protect();
        if self.hal.protected() {
            Ok(Response::Done)
        } else {
            Err(Refusal::ProtectionFailed)
        }
    }

    /// Answers `AuthorityNonce`.
    pub(crate) fn authority_nonce(&mut self) -> Result<Response<'static>, Refusal> {
        self.announce_draw([]);
        let device_id = self.device_id();
        let purpose = Purpose::AuthorityNonce;
        let nonce = *self
            .generator
            .draw(&mut self.hal, purpose, device_id, &[0; 32])?;
        self.authority.expect(nonce);
        Ok(Response::AuthorityNonce { nonce })
    }

    /// Answers `Authorise`.
    pub(crate) fn authorise(
        &mut self,
        command: AuthorisedCommand,
        signature: &[u8],
        body: &mut [u8],
    ) -> Result<Response<'static>, Refusal> {
        let authority = record_store::find(&self.hal, body)
            .and_then(|record| record.content.authority)
            .ok_or(Refusal::NotAuthorised)?;
        self.announce([Work::VerifyP256]);
        let device_id = self.device_id();
        if self
            .authority
            .authorise(&authority, device_id, command, signature)
        {
            Ok(Response::Done)
        } else {
            Err(Refusal::NotAuthorised)
        }
    }

    /// Answers `EraseIdentity`. An open session stays open for the answer, but no key vouches for it any more.
    pub(crate) fn erase_identity(&mut self) -> Result<Response<'static>, Refusal> {
        self.announce([Work::ErasePage; 6]);
        self.import = None;
        if let Some(session) = &mut self.session {
            session.authenticated = false;
        }
        erasure::erase_identity(&mut self.hal)?;
        Ok(Response::Done)
    }
}
