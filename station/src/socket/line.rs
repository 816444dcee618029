//! Lines with a limit.

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

use super::SocketError;

/// Reads one line without its end; `None` where the other side has closed. A request holds a token, so what was read is wiped.
pub(super) async fn read(
    reader: &mut (impl AsyncBufRead + Unpin),
    limit: usize,
) -> Result<Option<Zeroizing<Vec<u8>>>, SocketError> {
    let mut line = Zeroizing::new(Vec::new());
    reader
        .take(limit as u64 + 1)
        .read_until(b'\n', &mut line)
        .await?;
    if line.last() == Some(&b'\n') {
        line.pop();
        return Ok(Some(line));
    }
    if line.len() > limit {
        return Err(SocketError::TooLong { limit });
    }
    // A line without an end is one that the other side never finished.
    Ok(None)
}

/// Writes one value as a line.
pub(super) async fn write(
    writer: &mut (impl AsyncWrite + Unpin),
    value: &impl serde::Serialize,
) -> Result<(), SocketError> {
    let mut line = Zeroizing::new(
        serde_json::to_vec(value).map_err(|source| SocketError::Malformed { source })?,
    );
    line.push(b'\n');
    writer.write_all(&line).await?;
    Ok(())
}
