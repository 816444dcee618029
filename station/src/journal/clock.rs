//! The times in a leaf: the wall clock, and one that nobody can set.

use std::fs;
use std::time::Instant;

/// Since when the machine runs, and which of its starts this is.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeafClock {
    pub(super) boot_id: [u8; 16],
    uptime_ms: u64,
    opened: Instant,
}

impl LeafClock {
    /// Reads the kernel's boot id and uptime (proc(5): `sys/kernel/random/boot_id`, `uptime`). A system that has neither gets zeros:
    /// the leaf then says that nothing is known.
    pub(super) fn start() -> Self {
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
        let mut bytes = [0; 16];
        if hex::decode_to_slice(boot_id.trim().replace('-', ""), &mut bytes).is_err() {
            bytes = [0; 16];
        }
        // "12345.67 …": seconds and hundredths.
        let hundredths = uptime
            .split_whitespace()
            .next()
            .and_then(|seconds| seconds.replace('.', "").parse::<u64>().ok());
        Self {
            boot_id: bytes,
            uptime_ms: hundredths.unwrap_or(0) * 10,
            opened: Instant::now(),
        }
    }

    /// Milliseconds since the machine started.
    pub(super) fn monotonic_ms(&self) -> u64 {
        let since = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.uptime_ms.saturating_add(since)
    }
}
