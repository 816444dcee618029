//! Starts emulator processes so that none outlives this process, however it ends.
//!
//! Linux ends a child that asked for it (`PR_SET_PDEATHSIG`) when the **thread** that started it ends. So all of them are
//! started from one thread that lives as long as the process, through `setpriv` of util-linux, which needs no `unsafe` here.

use std::io;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;

/// A command to start, and where to answer.
type Order = (Command, Sender<io::Result<Child>>);

/// The program that sets the parent-death signal and then becomes the emulator.
pub(super) const WRAPPER: &str = "setpriv";

/// A command that runs `program` and is killed when this process ends.
pub(super) fn bound_command(program: &std::path::Path) -> Command {
    let mut command = Command::new(WRAPPER);
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Starts a command from the thread that never ends.
///
/// # Errors
/// What the operating system says when the program can't be started.
pub(super) fn spawn(command: Command) -> io::Result<Child> {
    static ORDERS: OnceLock<Option<Sender<Order>>> = OnceLock::new();
    let orders = ORDERS.get_or_init(|| {
        let (sender, receiver) = channel::<Order>();
        thread::Builder::new()
            .name("emulator-spawner".into())
            .spawn(move || {
                for (mut command, answer) in receiver {
                    // The asker may have given up; its process then ends with the dropped handle's owner.
                    if let Err(returned) = answer.send(command.spawn())
                        && let Ok(mut child) = returned.0
                    {
                        let _ = child.kill();
                        let _ = child.wait();
                    }
                }
            })
            .ok()
            .map(|_| sender)
    });
    let gone = || io::Error::other("the thread that starts emulators could not be started");
    let (answer, result) = channel();
    orders
        .as_ref()
        .ok_or_else(gone)?
        .send((command, answer))
        .map_err(|_| gone())?;
    result.recv().map_err(|_| gone())?
}
