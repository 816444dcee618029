//! Units that an operator puts into a fixture by hand.

use std::time::Duration;

use keyline_protocol::identity::{DeviceId, Platform};

use super::source::{Presented, UnitSource};
use crate::link::Target;
use crate::session::Conversation;
use crate::stop::Stop;

/// How often an empty fixture is looked at.
const LOOK_PERIOD: Duration = Duration::from_millis(300);

/// Makes a target for the slot's link anew: a target belongs to one unit.
pub type MakeTarget = Box<dyn FnMut() -> Box<dyn Target> + Send>;

/// A fixture on a bench. The first unit is taken as it is; after that, another one must have been put in.
pub struct BenchSource {
    make_target: MakeTarget,
    platform: Platform,
    serial: Option<String>,
    last: Option<DeviceId>,
    begun: bool,
}

impl BenchSource {
    /// A fixture whose link `make_target` opens, for units of `platform`; `serial` is what was scanned for the first one.
    #[must_use]
    pub const fn new(make_target: MakeTarget, platform: Platform, serial: Option<String>) -> Self {
        Self {
            make_target,
            platform,
            serial,
            last: None,
            begun: false,
        }
    }
}

/// Who is in the fixture: read by the link, or asked where the link reads nothing by itself.
///
/// A locked chip keeps its id to itself, so behind it nobody is seen until another unit is put in.
fn who_is_there(
    target: Box<dyn Target>,
    platform: Platform,
) -> (Box<dyn Target>, Option<DeviceId>) {
    let mut target = target;
    let (mut target, device_id) = match target.attach(platform) {
        Err(_) => (target, None),
        Ok(attachment) => match attachment.probe {
            Some(facts) => (target, facts.device_id),
            None => asked(target),
        },
    };
    target.detach();
    (target, device_id)
}

fn asked(target: Box<dyn Target>) -> (Box<dyn Target>, Option<DeviceId>) {
    let mut conversation = Conversation::new(target);
    let identity = conversation
        .hello()
        .and_then(|_| conversation.identify())
        .ok();
    (
        conversation.into_target(),
        identity.map(|identity| identity.device_id),
    )
}

impl UnitSource for BenchSource {
    fn next(&mut self, stop: &Stop) -> Option<Presented> {
        if !std::mem::replace(&mut self.begun, true) {
            return Some(Presented {
                target: (self.make_target)(),
                serial: self.serial.take(),
            });
        }
        while !stop.requested() {
            let (target, device_id) = who_is_there((self.make_target)(), self.platform);
            if device_id.is_some() && device_id != self.last {
                return Some(Presented {
                    target,
                    serial: None,
                });
            }
            std::thread::sleep(LOOK_PERIOD);
        }
        None
    }

    fn ended(&mut self, device_id: Option<DeviceId>) {
        self.last = device_id;
    }
}
