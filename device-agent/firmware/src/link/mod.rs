//! The two links, and whose turn it is.

pub(crate) mod rtt;

use crate::chip::serial;

/// One of the links.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    /// Through the debug probe.
    Rtt,
    /// Over the serial line.
    Serial,
}

impl Link {
    /// Both, the one that is asked first first.
    pub(crate) const ALL: [Self; 2] = [Self::Rtt, Self::Serial];

    /// The next byte that came, if one did.
    pub(crate) fn receive(self) -> Option<u8> {
        match self {
            Self::Rtt => rtt::receive(),
            Self::Serial => serial::receive(),
        }
    }

    /// Sends `bytes`; gives up where nobody takes them.
    pub(crate) fn send(self, bytes: &[u8]) {
        match self {
            Self::Rtt => rtt::send(bytes),
            Self::Serial => serial::send(bytes),
        }
    }

    /// Waits until what was sent has left the chip: a reset would take it along.
    pub(crate) fn drain(self) {
        match self {
            Self::Rtt => rtt::drain(),
            // `serial::send` returns when the last byte has left.
            Self::Serial => {}
        }
    }
}
