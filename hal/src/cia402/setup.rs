//! What a drive must have before it may be powered: the list of objects that are checked, or
//! written and read back, in this order. Pre-operational state; PDOs last before the watchdog.

use super::Config;
use super::objects::{MODE, MODE_CSP, MODE_DISPLAY, RPDO1_BASE, TPDO1_BASE, TPDO2_BASE};
use super::units::Scaled;
use crate::canopen::Object;
use crate::canopen::sdo::Size;

/// How long the following error may last before the drive trips, ms (6066).
const FOLLOWING_ERROR_TIME_MS: u32 = 10;
/// Bit 31 of a PDO's COB-ID: the PDO is off.
const PDO_OFF: u32 = 0x8000_0000;
/// Bit 30 of a PDO's COB-ID says whether remote frames are answered: devices may insist on it.
const COB_ID_MASK: u32 = !0x4000_0000;
/// Transmission type: at every SYNC.
const EVERY_SYNC: u32 = 1;
/// Transmission type: at once.
const AT_ONCE: u32 = 255;

/// What is done with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// It must have this value: another one is another product.
    Identify(u32),
    /// It must have this value.
    Verify(u32),
    /// Write this value and read it back.
    Write(u32),
    /// As `Write`; a drive without the object is fine.
    WriteIfThere(u32),
}

/// One step of the set-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub object: Object,
    pub size: Size,
    pub action: Action,
    /// Bits that must agree when the value is read back.
    pub mask: u32,
    /// The object in words, for errors.
    pub name: &'static str,
}

struct List(Vec<Step>);

impl List {
    fn add(&mut self, index: u16, sub: u8, size: Size, action: Action, name: &'static str) {
        let object = Object::new(index, sub);
        self.0.push(Step { object, size, action, mask: size.mask(), name });
    }

    fn write(&mut self, index: u16, sub: u8, size: Size, value: u32, name: &'static str) {
        self.add(index, sub, size, Action::Write(value), name);
    }

    fn cob_id(&mut self, index: u16, action: Action) {
        let (object, name) = (Object::new(index, 1), "PDO COB-ID");
        self.0.push(Step { object, size: Size::Four, action, mask: COB_ID_MASK, name });
    }

    /// Switches a PDO off, sets its type and mapping, and switches it on under `cob_id`.
    fn pdo(&mut self, communication: u16, cob_id: u16, kind: u32, mapped: &[u32]) {
        let mapping = communication + 0x200;
        let cob_id = u32::from(cob_id);
        self.cob_id(communication, Action::Write(PDO_OFF | cob_id));
        self.write(communication, 2, Size::One, kind, "PDO transmission type");
        self.write(mapping, 0, Size::One, 0, "PDO mapping off");
        for (sub, &entry) in (1_u8..).zip(mapped) {
            self.write(mapping, sub, Size::Four, entry, "PDO mapping entry");
        }
        let count = u32::try_from(mapped.len()).unwrap_or(0);
        self.write(mapping, 0, Size::One, count, "PDO mapping on");
        self.cob_id(communication, Action::Write(cob_id));
    }
}

/// The set-up of one drive.
pub(super) fn steps(config: &Config, scaled: &Scaled) -> Vec<Step> {
    use Size::{Four, One, Two};
    let mut list = List(Vec::with_capacity(64));
    list.add(0x1018, 1, Four, Action::Identify(config.vendor_id), "vendor id");
    list.add(0x1018, 2, Four, Action::Identify(config.product_code), "product code");

    list.write(0x1017, 0, Two, config.heartbeat_ms.into(), "heartbeat period");
    list.write(0x1005, 0, Four, config.sync_cob_id.into(), "SYNC COB-ID");
    list.write(0x1029, 1, One, 1, "NMT state kept on a communication error");
    list.write(0x6007, 0, Two, 3, "quick stop on a lost connection");
    list.write(0x605A, 0, Two, 2, "quick stop by its own ramp, then no power");
    list.write(0x605E, 0, Two, 2, "fault reaction by the quick-stop ramp");

    list.write(0x6085, 0, Four, scaled.quick_stop_deceleration, "quick-stop deceleration");
    // The bit pattern of a signed position is what travels.
    list.write(0x607D, 1, Four, scaled.position_min.cast_unsigned(), "lowest position");
    list.write(0x607D, 2, Four, scaled.position_max.cast_unsigned(), "highest position");
    list.write(0x607F, 0, Four, scaled.velocity_max, "highest velocity");
    list.write(0x6072, 0, Two, scaled.torque_max.into(), "highest torque");
    list.write(0x6065, 0, Four, scaled.following_error_max, "following error window");
    list.write(0x6066, 0, Two, FOLLOWING_ERROR_TIME_MS, "following error time");
    list.write(0x60C2, 1, One, scaled.period_mantissa.into(), "interpolation period");
    let exponent = u32::from(scaled.period_exponent.cast_unsigned());
    list.write(0x60C2, 2, One, exponent, "interpolation period's exponent");
    list.write(MODE.index, MODE.sub, One, MODE_CSP.into(), "mode: cyclic synchronous position");
    let mode = Action::Verify(MODE_CSP.into());
    list.add(MODE_DISPLAY.index, MODE_DISPLAY.sub, One, mode, "mode in force");

    let node = u16::from(config.node);
    list.pdo(0x1400, RPDO1_BASE + node, EVERY_SYNC, &[0x6040_0010, 0x607A_0020]);
    list.pdo(0x1403, config.stop_cob_id, AT_ONCE, &[0x6040_0010]);
    list.pdo(0x1800, TPDO1_BASE + node, EVERY_SYNC, &[0x6041_0010, 0x6064_0020]);
    let seldom = u32::from(config.torque_pdo_every);
    list.pdo(0x1801, TPDO2_BASE + node, seldom, &[0x606C_0020, 0x6077_0010]);
    // Nobody else's PDO may reach the controlword or fill the bus.
    for (index, base) in [(0x1401, 0x300), (0x1402, 0x400), (0x1802, 0x380), (0x1803, 0x480)] {
        let cob_id = PDO_OFF | (base + u32::from(node));
        list.cob_id(index, Action::WriteIfThere(cob_id));
    }

    let watchdog = match config.watchdog_ms {
        0 => 0,
        ms => u32::from(config.host_node) << 16 | u32::from(ms),
    };
    list.write(0x1016, 1, Four, watchdog, "watchdog: the host's heartbeat");
    list.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cia402::tests::config;

    fn written(config: &Config) -> Vec<(u16, u8, u32)> {
        steps(config, &Scaled::new(config).unwrap())
            .iter()
            .filter_map(|step| match step.action {
                Action::Write(value) => Some((step.object.index, step.object.sub, value)),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn the_list_holds_every_stop_option_and_limit() {
        let written = written(&config(3));
        for expected in [
            (0x1017, 0, 10),
            (0x1005, 0, 0x0F8),
            (0x1016, 1, 0x007F_000A),
            (0x1029, 1, 1),
            (0x6007, 0, 3),
            (0x605A, 0, 2),
            (0x605E, 0, 2),
            (0x6085, 0, 300_000),
            (0x607D, 1, 0u32.wrapping_sub(29_000)),
            (0x607D, 2, 29_000),
            (0x607F, 0, 20_000),
            (0x6072, 0, 1_500),
            (0x6065, 0, 2_000),
            (0x60C2, 1, 1),
            (0x60C2, 2, 0xFD),
            (0x6060, 0, 8),
            (0x1400, 1, 0x203),
            (0x1403, 1, 0x0F0),
            (0x1403, 2, 255),
            (0x1603, 1, 0x6040_0010),
            (0x1801, 2, 25),
        ] {
            assert!(written.contains(&expected), "{expected:X?} missing");
        }
    }

    #[test]
    fn no_watchdog_leaves_1016_at_zero() {
        let written = written(&Config { watchdog_ms: 0, ..config(3) });
        assert!(written.contains(&(0x1016, 1, 0)));
    }

    #[test]
    fn a_pdo_is_off_while_it_is_mapped() {
        let written = written(&config(3));
        let first = written.iter().position(|step| step.0 == 0x1400).unwrap();
        assert_eq!(
            written[first..first + 7],
            [
                (0x1400, 1, 0x8000_0203),
                (0x1400, 2, 1),
                (0x1600, 0, 0),
                (0x1600, 1, 0x6040_0010),
                (0x1600, 2, 0x607A_0020),
                (0x1600, 0, 2),
                (0x1400, 1, 0x203),
            ]
        );
    }
}
