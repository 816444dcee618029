//! Opening the encrypted session, and having the unit's key vouch for it.

use aws_lc_rs::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use aws_lc_rs::rand::SystemRandom;
use keyline_protocol::identity::{Algorithm, DeviceId};
use keyline_protocol::message::{Point, Request, Response};
use keyline_protocol::session::{Session, Side};
use keyline_protocol::transcript::session_authentication_digest;

use super::{Conversation, SessionError, calls};
use crate::signature;

impl Conversation {
    /// Opens an encrypted session. It is anonymous until [`Conversation::authenticate_session`]: it keeps out who only listens.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn open_session(&mut self, device_id: DeviceId) -> Result<(), SessionError> {
        let unusable = |source| SessionError::Entropy {
            source: Box::new(source),
        };
        let private =
            EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).map_err(unusable)?;
        let public = private.compute_public_key().map_err(unusable)?;
        let station = Point::from_sec1(public.as_ref()).ok_or(SessionError::InvalidPoint)?;
        let unit = match self.ask(&Request::OpenSession { station })? {
            Response::SessionOpened { unit } => unit,
            other => return Err(calls::unexpected("OpenSession", "SessionOpened", &other)),
        };
        let version = self.version;
        let session = agree_ephemeral(
            private,
            UnparsedPublicKey::new(&ECDH_P256, unit.to_sec1()),
            SessionError::InvalidPoint,
            |shared| {
                let shared = shared.try_into().map_err(|_| SessionError::InvalidPoint)?;
                Ok(Session::new(
                    Side::Station,
                    version,
                    device_id,
                    &station,
                    &unit,
                    shared,
                ))
            },
        )?;
        self.secure = Some(session);
        Ok(())
    }

    /// Has the unit sign the session's hash with the device key `public_key` (SPKI DER): from here on the session's other end is the
    /// holder of that key.
    ///
    /// # Errors
    /// [`SessionError::NotTheDeviceKey`] where the signature is not this key's; the session is then closed.
    pub fn authenticate_session(
        &mut self,
        algorithm: Algorithm,
        public_key: &[u8],
    ) -> Result<(), SessionError> {
        const CALL: &str = "AuthenticateSession";
        let hash = self
            .session_hash()
            .ok_or(SessionError::NoSession { call: CALL })?;
        let verified = match self.ask_sealed(&Request::AuthenticateSession)? {
            Response::Signature { signature } => signature::verify(
                algorithm,
                public_key,
                &session_authentication_digest(&hash),
                signature,
            ),
            other => return Err(calls::unexpected(CALL, "Signature", &other)),
        };
        match (verified, &mut self.secure) {
            (Ok(()), Some(session)) => {
                session.authenticated = true;
                Ok(())
            }
            (Ok(()), None) => Err(SessionError::NoSession { call: CALL }),
            (Err(source), _) => {
                self.secure = None;
                Err(SessionError::NotTheDeviceKey { source })
            }
        }
    }
}
