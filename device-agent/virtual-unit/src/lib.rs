//! Units without hardware: the agent in process (`sim`), and real firmware on an emulated chip (`qemu`).

pub mod qemu;
pub mod sim;
