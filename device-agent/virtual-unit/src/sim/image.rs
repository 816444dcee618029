//! What stands for the agent's image in a simulated unit.

use sha2::{Digest as _, Sha256};

/// The bytes that a simulated unit shows as its agent's image. They change with the agent's version, as a real image would.
pub const AGENT_IMAGE: &[u8] = concat!(
    "Keyline simulated agent, version ",
    env!("CARGO_PKG_VERSION"),
    ". Not a program: the simulator runs the agent library in process, and these bytes stand where its image would."
)
.as_bytes();

/// SHA-256 of an image.
#[must_use]
pub fn image_digest(image: &[u8]) -> [u8; 32] {
    Sha256::digest(image).into()
}
