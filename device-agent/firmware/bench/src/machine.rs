//! QEMU's `microbit` (nRF51822, 256 KiB of flash, 16 KiB of RAM) with an image in its flash.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::BenchError;
use crate::gdb::Gdb;

/// Bytes of flash.
pub const FLASH_LENGTH: usize = 256 * 1024;

/// The byte that start-up paints the stack with.
const PAINT: u8 = 0xCC;

/// How long QEMU may take to open its sockets.
const START_LIMIT: Duration = Duration::from_secs(20);

/// An image and what its manifest says of it.
pub struct Image {
    /// The bytes that go to the start of flash.
    pub bytes: Vec<u8>,
    /// SHA-256, as the manifest has it, in hexadecimal digits.
    pub sha256: String,
    /// Where the RTT control block stands.
    pub rtt_control_block: u32,
    /// The lowest address of the stack.
    pub stack_bottom: u32,
    /// The first address above the stack.
    pub stack_top: u32,
}

impl Image {
    /// The nRF51822 image in the directory `images`.
    ///
    /// # Errors
    /// [`BenchError::File`] or [`BenchError::Answer`] where the directory does not hold it.
    pub fn read(images: &Path) -> Result<Self, BenchError> {
        let path = images.join("manifest.json");
        let wrong = |what: &str| BenchError::Answer {
            expected: format!("{what} of nrf51822 in {}", path.display()),
            got: "none".to_owned(),
        };
        let text = fs::read_to_string(&path).map_err(file_error(&path))?;
        let manifest: serde_json::Value =
            serde_json::from_str(&text).map_err(|_| wrong("a manifest"))?;
        let entry = manifest["images"]
            .as_array()
            .and_then(|images| images.iter().find(|image| image["platform"] == "nrf51822"))
            .ok_or_else(|| wrong("an image"))?;
        let number = |name: &str| {
            entry[name]
                .as_u64()
                .and_then(|number| u32::try_from(number).ok())
                .ok_or_else(|| wrong(name))
        };
        let binary = images.join("nrf51822.bin");
        Ok(Self {
            bytes: fs::read(&binary).map_err(file_error(&binary))?,
            sha256: entry["sha256"].as_str().unwrap_or_default().to_owned(),
            rtt_control_block: number("rtt_control_block")?,
            stack_bottom: number("stack_bottom")?,
            stack_top: number("stack_top")?,
        })
    }
}

/// What was executed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Executed {
    /// Instructions.
    pub instructions: u64,
    /// Cycles that a Cortex-M0 would take for them.
    pub cycles: u64,
}

impl Executed {
    /// What was executed since `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            instructions: self.instructions - earlier.instructions,
            cycles: self.cycles - earlier.cycles,
        }
    }

    /// Milliseconds at 16 MHz.
    #[must_use]
    pub fn milliseconds(self) -> u64 {
        self.cycles / 16_000
    }
}

/// A running machine. It ends with this value, and with the thread that made it.
pub struct Machine {
    process: Child,
    directory: TempDir,
    gdb: Gdb,
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may be gone already; then there is nothing to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Machine {
    /// Starts a machine with erased flash, programs `image` and lets it run. With `count`, executed instructions are counted, which
    /// needs a C compiler and takes several times as long.
    ///
    /// # Errors
    /// [`BenchError::Start`] where QEMU or the compiler is missing, [`BenchError::Emulator`] where QEMU refuses something.
    pub fn start(image: &Image, count: bool) -> Result<Self, BenchError> {
        let directory = tempfile::tempdir().map_err(file_error(&std::env::temp_dir()))?;
        let socket = |name: &str| {
            let path = directory.path().join(name);
            format!(
                "socket,id={name},path={},server=on,wait=off",
                path.display()
            )
        };
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "qemu-system-arm"])
            .args(["-M", "microbit", "-display", "none", "-monitor", "none"])
            .args(["-accel", "tcg", "-S"])
            .args(["-chardev", &socket("serial"), "-serial", "chardev:serial"])
            .args(["-chardev", &socket("gdb"), "-gdb", "chardev:gdb"])
            .args(["-chardev", &socket("qtest"), "-qtest", "chardev:qtest"])
            .args(["-qtest-log", "none"])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        if count {
            // 64 ns of the machine's time an instruction, so that waiting costs as many as on silicon, whatever the host is doing; and
            // the generator at its fastest, because what waiting for it costs is known from the manual.
            command.args(["-icount", "shift=6"]).args([
                "-global",
                "driver=nrf51_soc.rng,property=period_unfiltered_us,value=1",
            ]);
            command.args(["-plugin", &plugin(directory.path())?]);
        }
        let process = command.spawn().map_err(|source| BenchError::Start {
            program: "qemu-system-arm".to_owned(),
            source,
        })?;
        let gdb = Gdb::new(connect(&directory.path().join("gdb"))?)?;
        let mut machine = Self {
            process,
            directory,
            gdb,
        };
        // The emulator's flash starts as zeros, silicon's as ones.
        machine.gdb.write(0, &vec![0xFF; FLASH_LENGTH])?;
        machine.gdb.write(0, &image.bytes)?;
        machine.gdb.reset()?;
        machine.gdb.go_on()?;
        Ok(machine)
    }

    /// Opens the serial line or the test channel: the socket called `name`.
    ///
    /// # Errors
    /// [`BenchError::File`] where it can't be opened.
    pub fn connect(&self, name: &str) -> Result<UnixStream, BenchError> {
        connect(&self.directory.path().join(name))
    }

    /// What was executed so far.
    ///
    /// # Errors
    /// [`BenchError::File`] where the machine does not count.
    pub fn executed(&self) -> Result<Executed, BenchError> {
        let path = self.directory.path().join("counters");
        let bytes = fs::read(&path).map_err(file_error(&path))?;
        let number = |bytes: Option<&[u8; 8]>| bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes));
        Ok(Executed {
            instructions: number(bytes.first_chunk()),
            cycles: number(bytes.last_chunk()),
        })
    }

    /// Flash as it is now.
    ///
    /// # Errors
    /// [`BenchError::Emulator`] where QEMU does not answer.
    pub fn flash(&mut self) -> Result<Vec<u8>, BenchError> {
        self.gdb.stop()?;
        let flash = self.gdb.read(0, FLASH_LENGTH)?;
        self.gdb.go_on()?;
        Ok(flash)
    }

    /// Bytes of stack that were used since the last reset, and bytes that there are.
    ///
    /// # Errors
    /// [`BenchError::Emulator`] where QEMU does not answer.
    pub fn stack(&mut self, image: &Image) -> Result<(usize, usize), BenchError> {
        let length = (image.stack_top - image.stack_bottom) as usize;
        self.gdb.stop()?;
        let stack = self.gdb.read(image.stack_bottom, length)?;
        self.gdb.go_on()?;
        let untouched = stack.iter().take_while(|byte| **byte == PAINT).count();
        Ok((length - untouched, length))
    }
}

fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> BenchError {
    let path = path.to_owned();
    move |source| BenchError::File { path, source }
}

fn connect(path: &Path) -> Result<UnixStream, BenchError> {
    let end = Instant::now() + START_LIMIT;
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => {
                stream
                    .set_read_timeout(Some(START_LIMIT))
                    .map_err(file_error(path))?;
                return Ok(stream);
            }
            Err(error) if Instant::now() > end => return Err(file_error(path)(error)),
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Compiles the counting plugin into `directory` and gives QEMU's argument for it.
fn plugin(directory: &Path) -> Result<String, BenchError> {
    let counters = directory.join("counters");
    fs::write(&counters, [0; 16]).map_err(file_error(&counters))?;
    let library = directory.join("cycles.so");
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("plugin/cycles.c");
    let status = Command::new("cc")
        .args([
            "-std=gnu11",
            "-O2",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-shared",
            "-fPIC",
            "-o",
        ])
        .args([&library, &source])
        .status()
        .map_err(|source| BenchError::Start {
            program: "cc".to_owned(),
            source,
        })?;
    if !status.success() {
        return Err(BenchError::Emulator {
            expected: "a plugin that compiles",
            got: status.to_string(),
        });
    }
    Ok(format!(
        "{},counters={}",
        library.display(),
        counters.display()
    ))
}
