//! Where a slot's units come from: an operator's hands, or a demonstration.

use keyline_protocol::identity::DeviceId;

use crate::link::Target;
use crate::stop::Stop;

/// Gives a slot one unit after the other.
///
/// # Contract
/// - [`UnitSource::next`] blocks until a unit other than the last one is in the fixture, and returns `None` when there will be none or
///   when somebody asked to stop.
/// - The target that it gives is not attached.
pub trait UnitSource: Send {
    /// The next unit, and the serial that was scanned for it.
    fn next(&mut self, stop: &Stop) -> Option<Presented>;

    /// The unit's run has ended: it may be taken out.
    fn ended(&mut self, device_id: Option<DeviceId>);
}

/// A unit in the fixture.
pub struct Presented {
    /// The unit.
    pub target: Box<dyn Target>,
    /// The serial that was scanned for it.
    pub serial: Option<String>,
}
