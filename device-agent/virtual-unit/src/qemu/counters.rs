//! What a session costs on the wire, counted where a real probe would pay for it.

use serde::Serialize;

/// Counts of one unit's debug link since the last reset of the counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// SWD transfers, of all kinds: each costs at least 46 clock cycles on a real wire.
    pub transfers: u64,
    /// Reads of debug port registers.
    pub dp_reads: u64,
    /// Writes of debug port registers.
    pub dp_writes: u64,
    /// Reads of access port registers, data registers included.
    pub ap_reads: u64,
    /// Writes of access port registers, data registers included.
    pub ap_writes: u64,
    /// Accesses that read target memory (`DRW` and `BD0` to `BD3`).
    pub words_read: u64,
    /// Accesses that wrote target memory (`DRW` and `BD0` to `BD3`).
    pub words_written: u64,
    /// Messages answered to the client: each costs a USB round trip on a real probe.
    pub round_trips: u64,
    /// System resets of the chip, whoever asked for them; powering on is none.
    pub resets: u64,
}
