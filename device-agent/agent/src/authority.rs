//! What a product authority permits on a sealed unit: one command, once, until the next reset.

use keyline_protocol::identity::DeviceId;
use keyline_protocol::message::{AuthorisedCommand, Point};
use keyline_protocol::transcript::AuthorityTranscript;

use crate::p256;

/// The nonce that waits for a signature, and the permit that waits for its command.
#[derive(Default)]
pub(crate) struct Authority {
    nonce: Option<[u8; 32]>,
    permit: Option<AuthorisedCommand>,
}

impl Authority {
    /// Remembers the nonce that the next signature must name; an earlier one is forgotten.
    pub(crate) const fn expect(&mut self, nonce: [u8; 32]) {
        self.nonce = Some(nonce);
    }

    /// Takes the authority's signature for `command`, and whether it was valid. Either way the nonce is used up.
    pub(crate) fn authorise(
        &mut self,
        authority: &Point,
        device_id: DeviceId,
        command: AuthorisedCommand,
        signature: &[u8],
    ) -> bool {
        let Some(nonce) = self.nonce.take() else {
            return false;
        };
        let transcript = AuthorityTranscript {
            device_id,
            nonce: &nonce,
            command,
        };
        let valid = p256::verify(authority, &transcript.digest(), signature);
        if valid {
            self.permit = Some(command);
        }
        valid
    }

    /// Whether `command` is permitted.
    pub(crate) fn permits(&self, command: AuthorisedCommand) -> bool {
        self.permit == Some(command)
    }

    /// Uses the permit up.
    pub(crate) const fn spend(&mut self) {
        self.permit = None;
    }
}
