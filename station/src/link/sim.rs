//! A simulated unit in this process, reached as over a probe or as over a serial line.

use std::time::Instant;

use keyline_protocol::identity::{DeviceId, Platform};
use keyline_virtual_unit::sim::{SimError, SimUnit, image_digest};

use super::{AgentImage, AgentStart, Attachment, LinkError, ProbeFacts, Target};

/// What stands between the station and the simulated unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Probe,
    Serial,
}

/// A simulated unit.
pub struct SimTarget {
    unit: SimUnit,
    reach: Reach,
}

impl SimTarget {
    /// The unit as a debug probe reaches it: chip, image and protection are read, reset is the probe's.
    #[must_use]
    pub const fn new(unit: SimUnit) -> Self {
        Self {
            unit,
            reach: Reach::Probe,
        }
    }

    /// The unit as a serial line reaches it: frames only.
    #[must_use]
    pub const fn over_serial(unit: SimUnit) -> Self {
        Self {
            unit,
            reach: Reach::Serial,
        }
    }

    fn selector(&self) -> String {
        self.describe()
    }

    fn probe_facts(&self, expected: Platform) -> Result<ProbeFacts, LinkError> {
        let mut facts = ProbeFacts {
            platform: expected,
            device_id: None,
            protected: false,
            bootloader_address: None,
            softdevice_end: None,
        };
        match self.unit.probe_chip() {
            Ok((platform, (low, high))) => {
                facts.platform = platform;
                facts.device_id = Some(DeviceId::from_words(platform, low, high));
            }
            Err(SimError::Protected) => facts.protected = true,
            Err(source) => {
                return Err(LinkError::NoUnit {
                    selector: self.selector(),
                    source: Some(Box::new(source)),
                });
            }
        }
        Ok(facts)
    }
}

fn lost(doing: &'static str) -> impl FnOnce(SimError) -> LinkError {
    move |error| match error {
        SimError::Protected => LinkError::Protected,
        source => LinkError::Lost {
            doing,
            source: Some(Box::new(source)),
        },
    }
}

impl Target for SimTarget {
    fn describe(&self) -> String {
        match self.reach {
            Reach::Probe => format!("sim {}", self.unit.device_id()),
            Reach::Serial => format!("sim {} over serial", self.unit.device_id()),
        }
    }

    fn attach(&mut self, expected: Platform) -> Result<Attachment, LinkError> {
        let mut leftover = Vec::new();
        self.unit
            .read(&mut leftover)
            .map_err(|source| LinkError::NoUnit {
                selector: self.selector(),
                source: Some(Box::new(source)),
            })?;
        Ok(Attachment {
            probe: match self.reach {
                Reach::Probe => Some(self.probe_facts(expected)?),
                Reach::Serial => None,
            },
        })
    }

    fn start_agent(&mut self, _: &AgentImage) -> Result<AgentStart, LinkError> {
        const DOING: &str = "starting the agent";
        if self.reach == Reach::Serial {
            return Ok(AgentStart { measured: None });
        }
        let image = self.unit.probe_image().map_err(lost(DOING))?;
        self.unit.reset().map_err(lost(DOING))?;
        Ok(AgentStart {
            measured: Some(image_digest(&image)),
        })
    }

    fn send(&mut self, frame: &[u8]) -> Result<(), LinkError> {
        self.unit.write(frame).map_err(lost("sending"))
    }

    /// A simulated unit has carried out what it was sent before `send` returns, so where nothing lies ready nothing will come: the
    /// silence is reported at once instead of waited for.
    fn receive(&mut self, deadline: Instant, into: &mut Vec<u8>) -> Result<(), LinkError> {
        match self.unit.read(into).map_err(lost("receiving"))? {
            0 => Err(LinkError::Timeout {
                waited: deadline.saturating_duration_since(Instant::now()),
            }),
            _ => Ok(()),
        }
    }

    fn reset(&mut self) -> Result<(), LinkError> {
        match self.reach {
            Reach::Probe => self.unit.reset().map_err(lost("resetting")),
            Reach::Serial => Ok(()),
        }
    }

    fn resets_by_itself(&self) -> bool {
        self.reach == Reach::Probe
    }

    fn read_memory(&mut self, address: u32, length: usize) -> Result<Option<Vec<u8>>, LinkError> {
        if self.reach == Reach::Serial {
            return Ok(None);
        }
        let mut bytes = vec![0; length];
        self.unit
            .probe_flash(address, &mut bytes)
            .map_err(lost("reading flash"))?;
        Ok(Some(bytes))
    }

    fn probe_protection(&mut self) -> Result<Option<bool>, LinkError> {
        if self.reach == Reach::Serial {
            return Ok(None);
        }
        match self.unit.probe_chip() {
            Ok(_) => Ok(Some(false)),
            Err(SimError::Protected) => Ok(Some(true)),
            Err(source) => Err(lost("probing the protection")(source)),
        }
    }

    fn detach(&mut self) {}
}
