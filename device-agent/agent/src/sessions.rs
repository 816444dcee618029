//! The encrypted session, as the unit opens and signs it.

use keyline_protocol::message::{Point, Refusal, Response};
use keyline_protocol::session::{Session, Side};
use keyline_protocol::transcript::session_authentication_digest;

use crate::generator::Purpose;
use crate::hal::{Hal, Work};
use crate::p256;
use crate::unit::{Channel, Unit};

impl<H: Hal> Unit<H> {
    /// Answers `OpenSession`. An open session, and an import in it, end.
    pub(crate) fn open_session(&mut self, station: &Point) -> Result<Response<'static>, Refusal> {
        if !p256::is_on_curve(station) {
            return Err(Refusal::InvalidPoint);
        }
        let version = self.version.ok_or(Refusal::NoHello)?;
        self.announce_draw([Work::BasePointMultiplication, Work::PointMultiplication]);
        let device_id = self.device_id();
        // No entropy of the station: what it could send here, it sends in the clear.
        let (ephemeral, _) =
            self.generator
                .draw_scalar(&mut self.hal, Purpose::SessionKey, device_id, &[0; 32])?;
        let unit = ephemeral.public();
        let shared = ephemeral.agree(station).ok_or(Refusal::InvalidPoint)?;
        self.import = None;
        self.session = Some(Session::new(
            Side::Unit,
            version,
            device_id,
            station,
            &unit,
            &shared,
        ));
        Ok(Response::SessionOpened { unit })
    }

    /// Answers `AuthenticateSession`.
    pub(crate) fn authenticate_session<'b>(
        &mut self,
        channel: Channel,
        bytes: &'b mut [u8],
    ) -> Result<Response<'b>, Refusal> {
        let digest = match (&self.session, channel) {
            (Some(session), Channel::Session) => session_authentication_digest(session.hash()),
            _ => return Err(Refusal::SessionRequired),
        };
        let key = self.key()?;
        let signature = self.sign(key, &digest, bytes)?;
        if let Some(session) = &mut self.session {
            session.authenticated = true;
        }
        Ok(Response::Signature { signature })
    }
}
