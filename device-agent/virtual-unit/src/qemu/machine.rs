//! One emulator process with its control channels.
//!
//! The emulator connects to sockets that wait for it in a private directory, so no port can collide and no attempt is
//! repeated. A reset that the program asks for pauses the machine (`-action reboot=shutdown,shutdown=pause`): the emulator
//! forgets the user information registers at a reset, and they have to be put back before the program goes on.

use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::chip::{ChipModel, NVMC_CONFIG, UICR};
use super::error::UnitError;
use super::gdb::{Gdb, Registers, Stop, Trap};
use super::host_memory::{HostMemory, patch_factory_words};
use super::qmp::Qmp;
use super::qtest::Qtest;
use super::retained::Retained;
use super::spawner::{bound_command, spawn};

/// Starting takes some 100 ms; a machine under heavy load gets this long.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Between two looks whether the emulator has connected.
const START_PAUSE: Duration = Duration::from_millis(1);
/// Offset of the CUSTOMER words, where the mark is put for finding the registers.
const USER_MARK_OFFSET: u32 = 0x80;
/// Code of the flash controller's configuration that lets flash be programmed.
const WRITE_ENABLE: u32 = 1;

/// What to start.
#[derive(Debug, Clone)]
pub(super) struct MachineOptions {
    /// The emulator program.
    pub(super) program: PathBuf,
    /// The chip.
    pub(super) chip: ChipModel,
    /// The chip's own id, as the bytes of DEVICEID[0] and DEVICEID[1].
    pub(super) device_id: [u8; 8],
}

/// A running emulator; dropping it ends the process.
#[derive(Debug)]
pub(super) struct Machine {
    process: Process,
    /// Core control.
    pub(super) gdb: Gdb,
    /// Background memory access.
    pub(super) qtest: Qtest,
    qmp: Qmp,
    memory: HostMemory,
    /// The other end of UART0.
    pub(super) uart: UnixStream,
    running: bool,
}

impl Machine {
    /// Starts an emulator that stands still at reset, with the chip's memories as they were kept.
    pub(super) fn start(options: &MachineOptions, retained: &Retained) -> Result<Self, UnitError> {
        let failed = UnitError::host("make a directory for the emulator's sockets");
        let directory = tempfile::Builder::new()
            .prefix("keyline-unit-")
            .tempdir()
            .map_err(failed)?;
        let [gdb, qtest, qmp, uart] = ["gdb", "qtest", "qmp", "uart"]
            .map(|name| UnixListener::bind(directory.path().join(name)));
        let bound = UnitError::host("make a socket for the emulator");
        let listeners = [
            gdb.map_err(&bound)?,
            qtest.map_err(&bound)?,
            qmp.map_err(&bound)?,
            uart.map_err(&bound)?,
        ];
        let mut starting = Starting {
            process: Process(launch(options, directory.path())?),
            directory: directory.path().to_owned(),
        };
        let [gdb, qtest, qmp, uart] = starting.accept_all(&listeners)?;
        // Connected sockets need no path any more, so a killed program leaves no directory behind.
        drop(directory);
        let process = starting.process.0.id();
        let mut gdb = Gdb::new(gdb)?;
        let mut qtest = Qtest::new(qtest)?;
        let qmp = Qmp::new(qmp)?;
        patch_factory_words(process, &options.chip.factory_words(options.device_id))?;
        let memory = find_memories(process, &mut gdb, &mut qtest)?;
        memory.restore(retained)?;
        let mut machine = Self {
            process: starting.process,
            gdb,
            qtest,
            qmp,
            memory,
            uart,
            running: false,
        };
        // The core took stack pointer and program counter from a flash of zeros; now they come from the real one.
        machine.reset(retained)?;
        Ok(machine)
    }

    /// The emulator's process id.
    pub(super) fn process(&self) -> u32 {
        self.process.0.id()
    }

    /// Whether the core runs, as far as is known without asking.
    pub(super) fn running(&self) -> bool {
        self.running
    }

    /// Resets the chip, which must stand still; the user information registers are put back.
    pub(super) fn reset(&mut self, retained: &Retained) -> Result<(), UnitError> {
        self.qmp.system_reset()?;
        self.memory.restore_user(retained)
    }

    /// Lets the core run.
    pub(super) fn run(&mut self) -> Result<(), UnitError> {
        self.qmp.drain()?;
        self.gdb.resume()?;
        self.running = true;
        Ok(())
    }

    /// Stops the core, if it runs; gives the reason.
    pub(super) fn interrupt(&mut self) -> Result<Option<Stop>, UnitError> {
        if !self.running {
            return Ok(None);
        }
        let stop = self.gdb.interrupt()?;
        self.running = false;
        Ok(Some(stop))
    }

    /// Says, without waiting, whether the core has stopped by itself since the last question.
    pub(super) fn poll_stop(&mut self) -> Result<Option<Stop>, UnitError> {
        if !self.running {
            return Ok(None);
        }
        let stop = self.gdb.poll_stop()?;
        self.running = stop.is_none();
        Ok(stop)
    }

    /// Sets all registers of the stopped core.
    pub(super) fn set_registers(&mut self, registers: &Registers) -> Result<(), UnitError> {
        self.gdb.set_registers(registers)
    }

    /// Sets or takes away traps, with the core stopped.
    pub(super) fn change_traps(&mut self, traps: &[Trap], insert: bool) -> Result<(), UnitError> {
        for &trap in traps {
            if insert {
                self.gdb.insert(trap)?;
            } else {
                self.gdb.remove(trap)?;
            }
        }
        Ok(())
    }

    /// Looks at what the chip would keep if its power went now.
    pub(super) fn look(&mut self, retained: &mut Retained) -> Result<(), UnitError> {
        self.memory.look(retained)
    }

    /// Takes the power away: the process stands still, its memories are looked at, it ends.
    pub(super) fn cut_power(mut self, retained: &mut Retained) {
        let process = i32::try_from(self.process()).ok().and_then(Pid::from_raw);
        if let Some(process) = process {
            // A process that has ended by itself can't be stopped or looked at: it kept what was looked at last.
            let _ = kill_process(process, Signal::STOP);
            let _ = self.look(retained);
        }
    }

    /// Says how the process ended, if it has, after a channel failed: it may take a moment.
    pub(super) fn aborted(mut self) -> bool {
        const SIGABRT: i32 = 6;
        let deadline = Instant::now() + Duration::from_secs(2);
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.process.0.try_wait() {
                return status.signal() == Some(SIGABRT);
            }
            sleep(START_PAUSE);
        }
        false
    }
}

/// The emulator's process; dropping it ends it.
#[derive(Debug)]
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only for a process that has ended and was waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl AsFd for Machine {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.gdb.as_fd()
    }
}

/// Starts the process; it connects to the sockets in `directory`.
fn launch(options: &MachineOptions, directory: &Path) -> Result<Child, UnitError> {
    let socket = |id: &str| {
        let path = directory.join(id);
        format!("socket,id={id},path={}", path.display())
    };
    let messages = std::fs::File::create(directory.join("messages"))
        .map_err(UnitError::host("make a file for the emulator's messages"))?;
    let mut command = bound_command(&options.program);
    command
        .args(["-M", "microbit", "-accel", "tcg", "-S"])
        .args(["-display", "none", "-nodefaults"])
        .args(["-action", "reboot=shutdown,shutdown=pause"])
        .arg("-global")
        .arg(format!("nrf51-soc.sram-size={}", options.chip.ram_bytes))
        .args(["-chardev", &socket("gdb"), "-gdb", "chardev:gdb"])
        .args(["-chardev", &socket("qmp")])
        .args(["-mon", "chardev=qmp,mode=control"])
        .args(["-chardev", &socket("uart"), "-serial", "chardev:uart"])
        .arg("-qtest")
        .arg(format!("unix:{}", directory.join("qtest").display()))
        .args(["-qtest-log", "none"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(messages);
    spawn(command).map_err(|source| UnitError::EmulatorMissing {
        program: options.program.clone(),
        source,
    })
}

/// Marks both memories and finds the marks. The bytes of the flash mark never pass through the emulator's heap as the
/// user mark's would in one piece, so the latter is written word by word.
fn find_memories(process: u32, gdb: &mut Gdb, qtest: &mut Qtest) -> Result<HostMemory, UnitError> {
    let flash_mark: [u8; 16] = rand::random();
    gdb.write_memory(0, &flash_mark)?;
    let user_mark: [u32; 4] = rand::random();
    qtest.write(NVMC_CONFIG, 4, WRITE_ENABLE)?;
    for (address, word) in (UICR + USER_MARK_OFFSET..).step_by(4).zip(user_mark) {
        qtest.write(address, 4, word)?;
    }
    qtest.write(NVMC_CONFIG, 4, 0)?;
    let mut user_bytes = [0; 16];
    for (place, word) in user_bytes.chunks_exact_mut(4).zip(user_mark) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    HostMemory::find(process, flash_mark, user_bytes, USER_MARK_OFFSET.into())
}

/// A process that has not connected all its channels yet.
struct Starting {
    process: Process,
    directory: PathBuf,
}

impl Starting {
    /// Waits for the emulator to connect to all sockets.
    fn accept_all<const N: usize>(
        &mut self,
        listeners: &[UnixListener; N],
    ) -> Result<[UnixStream; N], UnitError> {
        let deadline = Instant::now() + START_LIMIT;
        let mut streams = Vec::with_capacity(N);
        for listener in listeners {
            streams.push(self.accept(listener, deadline)?);
        }
        streams.try_into().map_err(|_| UnitError::ThreadEnded)
    }

    fn accept(
        &mut self,
        listener: &UnixListener,
        deadline: Instant,
    ) -> Result<UnixStream, UnitError> {
        let failed = UnitError::host("wait for the emulator");
        listener.set_nonblocking(true).map_err(&failed)?;
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).map_err(&failed)?;
                    return Ok(stream);
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(failed(error)),
            }
            if let Some(status) = self.process.0.try_wait().map_err(&failed)? {
                let message = self.messages();
                // `setpriv` ends with 127 when it can't find the program.
                if status.code() == Some(127) {
                    return Err(UnitError::EmulatorMissing {
                        program: PathBuf::from(super::available::EMULATOR),
                        source: std::io::Error::other(message),
                    });
                }
                return Err(UnitError::EmulatorEnded { status, message });
            }
            if Instant::now() > deadline {
                return Err(UnitError::EmulatorSlow {
                    expected: "connect its control channels",
                    limit_ms: u64::try_from(START_LIMIT.as_millis()).unwrap_or(u64::MAX),
                });
            }
            sleep(START_PAUSE);
        }
    }

    fn messages(&self) -> String {
        let mut text = String::new();
        if let Ok(file) = std::fs::File::open(self.directory.join("messages")) {
            // What can't be read is not shown; the exit status is.
            let _ = file.take(2000).read_to_string(&mut text);
        }
        text.trim_end().to_owned()
    }
}
