//! Units that run real firmware on an emulated nRF51822, reached by unmodified probe-rs through an emulated debug probe.
//!
//! ```text
//!  probe-rs ── TCP ── glasgow ── debug_port ── target ──┬─ core_debug   halt, step, breakpoints, lock-up
//!            (server)  frames     DP, MEM-AP   (Bus)    ├─ retained     flash, UICR, read-back protection
//!                                                       └─ machine ─┬─ gdb          registers, run, stop
//!                                                                   ├─ qtest        memory while the core runs
//!  serial program ── terminal (pty) ───────────────────────────────┼─ UART0
//!                                                                   ├─ qmp          system reset
//!                                                                   └─ host_memory  /proc/PID/mem
//! ```
//!
//! A [`Unit`] is one emulator process and one thread. The emulator lacks things that silicon has, and each is put on by the
//! file named after it: ids of its own, UICR that survives a reset, flash that survives the process, read-back protection,
//! a lock-up that is no crash, debug registers. The model is as strict as silicon where a debugger could notice.

mod available;
mod board;
mod bus;
mod chip;
mod core_debug;
mod counters;
mod debug_port;
mod error;
mod gdb;
mod glasgow;
mod host_memory;
mod machine;
mod qmp;
mod qtest;
mod retained;
mod server;
mod spawner;
mod target;
mod terminal;
mod unit;

pub use available::{EMULATOR, Version, available, available_at};
pub use chip::ChipModel;
pub use counters::Counters;
pub use error::UnitError;
pub use unit::{Unit, UnitOptions};
