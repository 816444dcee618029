//! The station's own random bytes, from the operating system.

use rand::TryRng as _;
use rand::rngs::SysRng;

use super::SessionError;

/// Thirty-two fresh bytes.
///
/// # Errors
/// [`SessionError::Entropy`] where the operating system gives none.
pub fn fresh_bytes() -> Result<[u8; 32], SessionError> {
    let mut bytes = [0; 32];
    SysRng
        .try_fill_bytes(&mut bytes)
        .map_err(|source| SessionError::Entropy {
            source: Box::new(source),
        })?;
    Ok(bytes)
}
