//! The handle by which a program owns an emulated unit.

use std::io::Write;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use super::available::EMULATOR;
use super::board::Board;
use super::chip::ChipModel;
use super::counters::Counters;
use super::error::UnitError;
use super::machine::MachineOptions;
use super::retained::Retained;
use super::server::{Job, Server, address, listen};
use super::terminal::Terminal;

/// What a unit is made as.
#[derive(Debug, Clone)]
pub struct UnitOptions {
    /// The chip's own id: the bytes of `FICR.DEVICEID[0]` and `DEVICEID[1]`, as a debugger reads them from memory.
    pub device_id: [u8; 8],
    /// The kind of chip.
    pub chip: ChipModel,
    /// The TCP port on the loopback interface where the probe listens; 0 for any free one.
    pub port: u16,
    /// UICR.BOOTLOADERADDR, or erased.
    pub bootloader_address: Option<u32>,
    /// UICR.CUSTOMER words to preset: index 0 to 31, and value.
    pub customer_words: Vec<(usize, u32)>,
    /// What flash holds from address 0 on; the rest is erased. Empty: an empty chip, which locks up when it starts.
    pub flash: Vec<u8>,
    /// The emulator program.
    pub emulator: PathBuf,
}

impl UnitOptions {
    /// An empty nRF51822 with 256 KiB of flash and 16 KiB of RAM, on any free port.
    #[must_use]
    pub fn new(device_id: [u8; 8]) -> Self {
        Self {
            device_id,
            chip: ChipModel::nrf51822_xxaa(),
            port: 0,
            bootloader_address: None,
            customer_words: Vec::new(),
            flash: Vec::new(),
            emulator: PathBuf::from(EMULATOR),
        }
    }

    fn retained(&self) -> Result<Retained, UnitError> {
        let mut retained = Retained::erased();
        let size = self.chip.flash_bytes;
        let end = u32::try_from(self.flash.len()).unwrap_or(u32::MAX);
        let place = retained
            .flash
            .get_mut(..self.flash.len())
            .filter(|_| end <= size)
            .ok_or(UnitError::FlashRange {
                start: 0,
                end,
                size,
            })?;
        place.copy_from_slice(&self.flash);
        if let Some(address) = self.bootloader_address {
            retained.set_bootloader_address(address);
        }
        for &(index, value) in &self.customer_words {
            retained.set_customer_word(index, value);
        }
        Ok(retained)
    }
}

/// An emulated unit under power, with a debug probe and a serial port; dropping it ends its emulator and its thread.
///
/// Every method may be called at any time from any thread; it is carried out between two messages of a debug client.
#[derive(Debug)]
pub struct Unit {
    device_id: [u8; 8],
    address: SocketAddr,
    serial_path: PathBuf,
    jobs: Sender<Job>,
    wake: UnixStream,
    thread: Option<JoinHandle<()>>,
}

impl Unit {
    /// Starts a unit; it has power when this returns.
    ///
    /// # Errors
    /// [`UnitError::EmulatorMissing`] when there is no emulator (see [`super::available`] for a version check), or what
    /// else kept it from starting.
    pub fn start(options: UnitOptions) -> Result<Self, UnitError> {
        let retained = options.retained()?;
        let listener = listen(options.port)?;
        let terminal = Terminal::new()?;
        let address = address(&listener)?;
        let serial_path = terminal.path().to_owned();
        let machine = MachineOptions {
            program: options.emulator,
            chip: options.chip,
            device_id: options.device_id,
        };
        let server = Server::new(Board::new(machine, retained), terminal, listener);
        let pair = UnitError::host("make a pair of sockets");
        let (wake, woken) = UnixStream::pair().map_err(pair)?;
        let (jobs, inbox) = channel();
        let thread = std::thread::Builder::new()
            .name(format!("unit-{}", address.port()))
            .spawn(move || server.run(&inbox, &woken))
            .map_err(UnitError::host("start a thread"))?;
        let unit = Self {
            device_id: options.device_id,
            address,
            serial_path,
            jobs,
            wake,
            thread: Some(thread),
        };
        unit.power_on()?;
        Ok(unit)
    }

    /// What probe-rs opens this unit's probe by, as `DebugProbeSelector` parses it: `20b7:9db1:tcp:127.0.0.1:PORT`.
    #[must_use]
    pub fn selector(&self) -> String {
        format!("20b7:9db1:tcp:{}", self.address)
    }

    /// The address where the probe listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The pseudo-terminal on which the chip's UART0 appears.
    #[must_use]
    pub fn serial_path(&self) -> &Path {
        &self.serial_path
    }

    /// The chip's own id, as it was given.
    #[must_use]
    pub fn device_id(&self) -> [u8; 8] {
        self.device_id
    }

    /// Plugs the debug cable in, or pulls it: then nobody answers the probe, and the chip runs on.
    ///
    /// # Errors
    /// [`UnitError::ThreadEnded`].
    pub fn cable(&self, connected: bool) -> Result<(), UnitError> {
        self.ask(move |server| server.board.cable = connected)
    }

    /// Plugs the serial cable in, or pulls it: then bytes are lost, both ways.
    ///
    /// # Errors
    /// [`UnitError::ThreadEnded`].
    pub fn serial_cable(&self, connected: bool) -> Result<(), UnitError> {
        self.ask(move |server| server.board.serial_cable = connected)
    }

    /// Plugs the probe itself in, or unplugs it: its client is cut off and nobody listens.
    ///
    /// # Errors
    /// [`UnitError::Host`] when the port was taken in the meantime.
    pub fn probe(&self, plugged: bool) -> Result<(), UnitError> {
        let port = self.address.port();
        self.ask(move |server| {
            if plugged {
                server.plug(port)
            } else {
                server.unplug();
                Ok(())
            }
        })?
    }

    /// Puts the unit under power, with what flash and the user information registers held when it went; it starts to run.
    /// Nothing happens if it has power.
    ///
    /// # Errors
    /// What kept the emulator from starting.
    pub fn power_on(&self) -> Result<(), UnitError> {
        self.ask(|server| server.board.power_on())?
    }

    /// Takes the power away, now.
    ///
    /// # Errors
    /// [`UnitError::ThreadEnded`].
    pub fn power_off(&self) -> Result<(), UnitError> {
        self.ask(|server| server.board.power_off())
    }

    /// Takes the power away and puts it back.
    ///
    /// # Errors
    /// As [`Self::power_off`] and [`Self::power_on`].
    pub fn power_cycle(&self) -> Result<(), UnitError> {
        self.power_off()?;
        self.power_on()
    }

    /// Cuts the power when so many more words of flash were written or pages erased, the last one included; `None` calls
    /// it off. It is exact, whether the chip's program writes or a debugger does. The chip is slower meanwhile.
    ///
    /// # Errors
    /// [`UnitError::NoPower`] when the power went in this very moment.
    pub fn power_off_after_flash_writes(&self, writes: Option<u64>) -> Result<(), UnitError> {
        self.ask(move |server| server.board.target.cut_after_writes(writes))?
    }

    /// Cuts the power after so many more SWD transfers; `None` calls it off.
    ///
    /// # Errors
    /// [`UnitError::ThreadEnded`].
    pub fn power_off_after_transfers(&self, transfers: Option<u64>) -> Result<(), UnitError> {
        self.ask(move |server| server.board.transfers_left = transfers)
    }

    /// Whether the unit has power: false after a cut, and after its emulator was killed.
    ///
    /// # Errors
    /// [`UnitError::ThreadEnded`].
    pub fn powered(&self) -> Result<bool, UnitError> {
        self.ask(|server| server.board.target.machine().is_some())
    }

    /// The process id of the emulator, to be killed in a test: flash then survives as of the last message that the chip
    /// sent to the outside, and [`Self::power_on`] brings the unit back.
    ///
    /// # Errors
    /// [`UnitError::NoPower`].
    pub fn emulator_process(&self) -> Result<u32, UnitError> {
        self.ask(|server| {
            server
                .board
                .target
                .machine()
                .map(super::machine::Machine::process)
        })?
        .ok_or(UnitError::NoPower)
    }

    /// Reads flash raw, behind the debug port and the read-back protection, with or without power.
    ///
    /// # Errors
    /// [`UnitError::FlashRange`].
    pub fn read_flash(&self, range: Range<u32>) -> Result<Vec<u8>, UnitError> {
        self.ask(move |server| {
            let flash = &server.board.target.kept().flash;
            let size = u32::try_from(flash.len()).unwrap_or(u32::MAX);
            let (start, end) = (range.start, range.end);
            flash
                .get(start as usize..end as usize)
                .map(<[u8]>::to_vec)
                .ok_or(UnitError::FlashRange { start, end, size })
        })?
    }

    /// Reads the user information registers raw: 256 bytes from 0x10001000 on.
    ///
    /// # Errors
    /// [`UnitError::ThreadEnded`].
    pub fn read_user_registers(&self) -> Result<Vec<u8>, UnitError> {
        self.ask(|server| server.board.target.kept().user.to_vec())
    }

    /// Makes the chip as it left the factory, by a power cycle: flash and user information registers erased.
    ///
    /// # Errors
    /// As [`Self::power_cycle`].
    pub fn make_blank(&self) -> Result<(), UnitError> {
        self.ask(|server| {
            server.board.power_off();
            *server.board.target.kept_mut() = Retained::erased();
            server.board.power_on()
        })?
    }

    /// What the debug link has cost since the counters were reset.
    ///
    /// # Errors
    /// [`UnitError::ThreadEnded`].
    pub fn counters(&self) -> Result<Counters, UnitError> {
        self.ask(|server| server.board.counters)
    }

    /// Sets the counters to zero and gives what they were.
    ///
    /// # Errors
    /// [`UnitError::ThreadEnded`].
    pub fn reset_counters(&self) -> Result<Counters, UnitError> {
        self.ask(|server| std::mem::take(&mut server.board.counters))
    }

    /// Runs something on the unit's thread and waits for its result.
    fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Server) -> T + Send + 'static,
    ) -> Result<T, UnitError> {
        let (answer, result) = channel();
        let job = Box::new(move |server: &mut Server| {
            // The asker waits below, so the answer is always taken.
            let _ = answer.send(job(server));
        });
        self.jobs.send(job).map_err(|_| UnitError::ThreadEnded)?;
        (&self.wake)
            .write_all(&[1])
            .map_err(|_| UnitError::ThreadEnded)?;
        result.recv().map_err(|_| UnitError::ThreadEnded)
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        // Both fail only when the thread has ended already.
        let _ = self.ask(|server| server.ended = true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
