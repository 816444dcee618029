//! Where the RTT control block stands: at an address of its own, which the linker script fixes and the manifest names.
#![allow(unsafe_code, reason = "placing a static has no safe form")]

use crate::link::rtt::ControlBlock;

// SAFETY: the section holds nothing else, and the name is RTT's own. Start-up does not clear it: what stands there at first does not
// matter, because every word is a plain number and `start` sets them all.
#[unsafe(link_section = ".rtt")]
#[unsafe(export_name = "_SEGGER_RTT")]
pub(crate) static CONTROL_BLOCK: ControlBlock = ControlBlock::new();
