//! A unit behind a debug probe, by probe-rs. The emulated probe is one too: only its selector differs.
//!
//! [`open`] finds the probe and attaches, [`chip`] reads what the chip says of itself, [`load`] brings the agent on and starts it,
//! [`flasher`] writes it to flash, [`rtt`] carries frames; all memory goes through [`bus`], which counts its transfers out.

mod bus;
mod chip;
mod flasher;
mod load;
mod open;
mod rtt;

use std::time::Instant;

use keyline_protocol::identity::Platform;

use super::{AgentImage, AgentStart, Attachment, LinkError, Target};
use bus::Bus;

/// A unit behind a debug probe.
pub struct ProbeTarget {
    selector: String,
    platform: Option<Platform>,
    bus: Option<Bus>,
    image: Option<AgentImage>,
    channel: Option<rtt::Channel>,
}

impl ProbeTarget {
    /// The unit behind the probe with this selector, `VID:PID:SERIAL`; for the emulated probe `20b7:9db1:tcp:HOST:PORT`. Nothing is
    /// opened before [`Target::attach`].
    #[must_use]
    pub fn new(selector: impl Into<String>) -> Self {
        Self {
            selector: selector.into(),
            platform: None,
            bus: None,
            image: None,
            channel: None,
        }
    }

    fn bus(&mut self, doing: &'static str) -> Result<&mut Bus, LinkError> {
        self.bus.as_mut().ok_or(LinkError::Lost {
            doing,
            source: None,
        })
    }

    /// The bus and the channel to the agent, which is opened where it isn't.
    fn channel(&mut self, doing: &'static str) -> Result<(&mut Bus, &mut rtt::Channel), LinkError> {
        let (Some(bus), Some(image)) = (&mut self.bus, &self.image) else {
            return Err(LinkError::Lost {
                doing,
                source: None,
            });
        };
        let channel = match self.channel.take() {
            Some(channel) => channel,
            None => rtt::open(bus, image.rtt_address)?,
        };
        Ok((bus, self.channel.insert(channel)))
    }
}

impl Target for ProbeTarget {
    fn describe(&self) -> String {
        format!("probe {}", self.selector)
    }

    fn attach(&mut self, expected: Platform) -> Result<Attachment, LinkError> {
        self.detach();
        self.platform = Some(expected);
        let facts = match open::session(&self.selector, expected) {
            Ok(session) => {
                let mut bus = Bus::new(session);
                let facts = chip::read(&mut bus, expected)?;
                self.bus = Some(bus);
                facts
            }
            Err(LinkError::Protected) => chip::locked(expected),
            Err(error) => return Err(error),
        };
        Ok(Attachment { probe: Some(facts) })
    }

    fn start_agent(&mut self, image: &AgentImage) -> Result<AgentStart, LinkError> {
        self.channel = None;
        let measured = load::start(self.bus("starting the agent")?, image)?;
        self.image = Some(image.clone());
        self.channel("starting the agent")?;
        Ok(AgentStart {
            measured: Some(measured),
        })
    }

    fn send(&mut self, frame: &[u8]) -> Result<(), LinkError> {
        let (bus, channel) = self.channel("sending")?;
        channel.send(bus, frame)
    }

    fn receive(&mut self, deadline: Instant, into: &mut Vec<u8>) -> Result<(), LinkError> {
        let (bus, channel) = self.channel("receiving")?;
        channel.receive(bus, deadline, into)
    }

    fn reset(&mut self) -> Result<(), LinkError> {
        self.channel = None;
        let (Some(bus), Some(image)) = (&mut self.bus, &self.image) else {
            return Err(LinkError::Lost {
                doing: "resetting",
                source: None,
            });
        };
        load::restart(bus, image)?;
        self.channel("resetting").map(drop)
    }

    fn resets_by_itself(&self) -> bool {
        true
    }

    fn read_memory(&mut self, address: u32, length: usize) -> Result<Option<Vec<u8>>, LinkError> {
        const DOING: &str = "reading memory";
        let first = address / 4 * 4;
        let skipped = (address - first) as usize;
        let mut words = vec![0; (skipped + length).div_ceil(4)];
        self.bus(DOING)?
            .read(first, &mut words)
            .map_err(open::lost(DOING))?;
        let bytes = words.iter().flat_map(|word| word.to_le_bytes());
        Ok(Some(bytes.skip(skipped).take(length).collect()))
    }

    fn probe_protection(&mut self) -> Result<Option<bool>, LinkError> {
        let platform = self.platform.ok_or(LinkError::Lost {
            doing: "probing the protection",
            source: None,
        })?;
        let facts = self.attach(platform)?.probe;
        self.detach();
        Ok(facts.map(|facts| facts.protected))
    }

    fn detach(&mut self) {
        self.channel = None;
        self.bus = None;
    }
}
