//! The thread of one unit: waits for the client, the core, the UART and the owner, and serves whoever comes.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::Receiver as Inbox;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::sockopt::set_socket_linger;
use rustix::net::{RecvFlags, recv};

use super::board::Board;
use super::error::UnitError;
use super::glasgow::{BUSY_IDENTIFIER, Receiver, Request, probe_frame, wire_frame};
use super::terminal::Terminal;

/// A client that does not take its answer for this long is dropped.
const WRITE_LIMIT: Duration = Duration::from_secs(2);
/// Refused clients that are kept open until they have read why.
const REFUSED_MAX: usize = 8;
/// Bytes taken from a stream at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// What the owner wants done on the unit's thread.
pub(super) type Job = Box<dyn FnOnce(&mut Server) + Send>;

/// The probe's side of one connection.
#[derive(Debug)]
struct Client {
    stream: TcpStream,
    receiver: Receiver,
}

/// Everything that a unit's thread owns.
#[derive(Debug)]
pub(super) struct Server {
    /// The unit itself.
    pub(super) board: Board,
    terminal: Terminal,
    listener: Option<TcpListener>,
    client: Option<Client>,
    refused: VecDeque<TcpStream>,
    /// Set by the owner's last job.
    pub(super) ended: bool,
}

/// Who has something for the thread.
#[derive(Debug, Clone, Copy)]
enum Source {
    Owner,
    Listener,
    Client,
    Core,
    Uart,
    Terminal,
}

/// Listens on the loopback interface.
pub(super) fn listen(port: u16) -> Result<TcpListener, UnitError> {
    let failed = UnitError::host("listen for debug clients");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(&failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

impl Server {
    /// A unit whose probe is plugged in.
    pub(super) fn new(board: Board, terminal: Terminal, listener: TcpListener) -> Self {
        Self {
            board,
            terminal,
            listener: Some(listener),
            client: None,
            refused: VecDeque::new(),
            ended: false,
        }
    }

    /// Serves until the owner says that it is over.
    pub(super) fn run(mut self, jobs: &Inbox<Job>, wake: &UnixStream) {
        while !self.ended {
            let ready = self.wait(wake);
            for source in ready {
                match source {
                    Source::Owner => self.owner(jobs, wake),
                    Source::Client => self.serve_client(),
                    Source::Core => self.board.target.poll(),
                    Source::Uart => self.serve_uart(),
                    Source::Terminal => self.serve_terminal(),
                    Source::Listener => self.accept(),
                }
            }
        }
    }

    /// Waits for somebody; the order of the answer is the order of service. A client that hung up is noticed before the
    /// next one is looked at.
    fn wait(&self, wake: &UnixStream) -> Vec<Source> {
        let mut sources = vec![(Source::Owner, wake.as_fd())];
        if let Some(client) = &self.client {
            sources.push((Source::Client, client.stream.as_fd()));
        }
        if let Some(machine) = self.board.target.machine() {
            if machine.running() {
                sources.push((Source::Core, machine.as_fd()));
            }
            sources.push((Source::Uart, machine.uart.as_fd()));
            sources.push((Source::Terminal, self.terminal.as_fd()));
        }
        if let Some(listener) = &self.listener {
            sources.push((Source::Listener, listener.as_fd()));
        }
        let mut waiting: Vec<PollFd<'_>> = sources
            .iter()
            .map(|(_, descriptor)| PollFd::new(descriptor, PollFlags::IN))
            .collect();
        // An interrupted wait finds nobody, and is begun again.
        let _ = poll(&mut waiting, None);
        let ready = |(entry, (source, _)): (&PollFd<'_>, &(Source, _))| {
            (!entry.revents().is_empty()).then_some(*source)
        };
        waiting.iter().zip(&sources).filter_map(ready).collect()
    }

    fn owner(&mut self, jobs: &Inbox<Job>, mut wake: &UnixStream) {
        let mut bytes = [0; 64];
        // The other end is closed only by an owner that is gone.
        if matches!(wake.read(&mut bytes), Ok(0) | Err(_)) {
            self.ended = true;
        }
        while let Ok(job) = jobs.try_recv() {
            job(self);
        }
        let resets = std::mem::take(&mut self.board.target.resets);
        self.board.counters.resets += resets;
    }

    /// Pulls the probe's plug: the client is cut off, nobody listens.
    pub(super) fn unplug(&mut self) {
        self.listener = None;
        self.client = None;
        self.refused.clear();
    }

    /// Plugs the probe in again, on the port that it had.
    pub(super) fn plug(&mut self, port: u16) -> Result<(), UnitError> {
        if self.listener.is_none() {
            self.listener = Some(listen(port)?);
        }
        Ok(())
    }

    fn accept(&mut self) {
        let Some(Ok((stream, _))) = self.listener.as_ref().map(TcpListener::accept) else {
            return;
        };
        // The client before may have hung up after this thread last looked, and before this one came.
        self.serve_client();
        match prepare(&stream) {
            Err(error) => tracing::debug!(%error, "a debug client was lost at once"),
            Ok(()) if self.client.is_none() => {
                self.client = Some(Client {
                    stream,
                    receiver: Receiver::default(),
                });
            }
            Ok(()) => self.refuse(stream),
        }
    }

    /// A probe has one user: another is told so in the words of its own protocol, and never waits.
    fn refuse(&mut self, mut stream: TcpStream) {
        if stream.write_all(&probe_frame(BUSY_IDENTIFIER)).is_ok() {
            self.refused.push_back(stream);
        }
        if self.refused.len() > REFUSED_MAX {
            self.refused.pop_front();
        }
    }

    /// Serves all that the client has sent.
    fn serve_client(&mut self) {
        let mut chunk = vec![0; CHUNK_BYTES];
        while let Some(client) = &mut self.client {
            let count = match recv(&client.stream, &mut chunk, RecvFlags::DONTWAIT) {
                Ok((_, count)) if count > 0 => count,
                Err(rustix::io::Errno::AGAIN) => return,
                _ => {
                    self.client = None;
                    return;
                }
            };
            let requests = match client.receiver.push(&chunk[..count]) {
                Ok(requests) => requests,
                Err(error) => {
                    tracing::debug!(%error, "a debug client was dropped");
                    self.client = None;
                    return;
                }
            };
            for request in requests {
                self.serve(request);
            }
        }
    }

    fn serve(&mut self, request: Request) {
        let frame = match request {
            Request::Probe(answer) => probe_frame(&answer),
            Request::Reset(asserted) => return self.board.reset_line(asserted),
            Request::Transfers(transfers) => wire_frame(&self.board.transfer(&transfers)),
        };
        self.board.counters.round_trips += 1;
        if let Some(client) = &mut self.client
            && client.stream.write_all(&frame).is_err()
        {
            self.client = None;
        }
    }

    fn serve_uart(&mut self) {
        let mut bytes = [0; 4096];
        let Some(machine) = self.board.target.machine_mut() else {
            return;
        };
        match recv(&machine.uart, &mut bytes, RecvFlags::DONTWAIT) {
            Ok((_, count)) if count > 0 => {
                // What the chip says may tell of what it wrote: that has to be kept first.
                self.board.target.look();
                if self.board.serial_cable {
                    self.terminal.write(&bytes[..count]);
                }
            }
            Err(rustix::io::Errno::AGAIN) => {}
            _ => self.board.target.gone(),
        }
    }

    fn serve_terminal(&mut self) {
        let mut bytes = [0; 4096];
        let count = self.terminal.read(&mut bytes);
        if let Some(machine) = self.board.target.machine_mut()
            && self.board.serial_cable
        {
            match machine.uart.write_all(&bytes[..count]) {
                Err(error) if error.kind() != ErrorKind::WouldBlock => self.board.target.gone(),
                _ => {}
            }
        }
    }
}

/// Answers leave at once; and when this end closes, even by a kill, the other end gets a reset. After an orderly close
/// probe-rs 0.32 would read for ever (`GlasgowNetDevice::transfer` takes an empty read for "not yet").
fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(WRITE_LIMIT))?;
    set_socket_linger(stream, Some(Duration::ZERO))?;
    Ok(())
}

/// Address of a listener.
pub(super) fn address(listener: &TcpListener) -> Result<SocketAddr, UnitError> {
    listener
        .local_addr()
        .map_err(UnitError::host("find the address to listen on"))
}
