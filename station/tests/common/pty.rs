//! A simulated unit behind a pseudo-terminal: it outlives the station that speaks to it, as a unit on a bench does.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "shared by tests"
)]

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use keyline_virtual_unit::sim::SimUnit;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// A moment in the life of a unit's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A frame has come from the station; the unit has not seen it.
    Before,
    /// The unit has done what the frame asked; the station has not seen the answer.
    Between,
    /// The station has the answer.
    After,
}

/// Called at each moment with the number of the station's frame, from 0.
pub type Watcher = Box<dyn FnMut(u64, Moment) + Send>;

/// The unit's end of the line.
pub struct PtyUnit {
    path: PathBuf,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl PtyUnit {
    /// Connects a unit to a new pseudo-terminal.
    pub fn new(unit: SimUnit, watcher: Watcher) -> Self {
        let master: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = PathBuf::from(ptsname(&master, Vec::new()).unwrap().into_string().unwrap());
        rustix::io::ioctl_fionbio(&master, true).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let stop = Arc::clone(&stop);
            move || serve(File::from(master), &unit, watcher, &stop)
        });
        Self {
            path,
            stop,
            thread: Some(thread),
        }
    }

    /// The station's end.
    pub fn path(&self) -> &PathBuf {
        &self.path
    }
}

impl Drop for PtyUnit {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn serve(mut master: File, unit: &SimUnit, mut watcher: Watcher, stop: &AtomicBool) {
    let mut buffer = [0; 4096];
    let mut frames = 0;
    while !stop.load(Ordering::SeqCst) {
        let length = match master.read(&mut buffer) {
            Ok(length) => length,
            // No station has the other end open, or it has nothing to say.
            Err(error)
                if error.raw_os_error() == Some(5) || error.kind() == ErrorKind::WouldBlock =>
            {
                std::thread::sleep(Duration::from_micros(300));
                continue;
            }
            Err(error) => panic!("the pseudo-terminal failed: {error}"),
        };
        for part in buffer[..length].split_inclusive(|byte| *byte == 0) {
            let ends_a_frame = part.len() > 1 && part.ends_with(&[0]);
            if ends_a_frame {
                watcher(frames, Moment::Before);
            }
            unit.write(part).unwrap();
            if ends_a_frame {
                watcher(frames, Moment::Between);
            }
            let mut answer = Vec::new();
            unit.read(&mut answer).unwrap();
            // Nobody there to read it: as on a real line, it is lost.
            let _ = master.write_all(&answer);
            if ends_a_frame {
                watcher(frames, Moment::After);
                frames += 1;
            }
        }
    }
}
