//! What one drive has said: status, position, velocity, torque, error code, and when.

use super::objects::{Motion, PowerState, Status, decode_motion, decode_status};
use super::units::Scaled;
use crate::canopen::emcy;
use crate::frame::Frame;

/// Positions that the velocity is taken from: a window of seven periods.
const WINDOW: usize = 8;

#[derive(Clone, Copy, Debug)]
pub(super) struct Observed {
    node: u8,
    /// Last statusword from TPDO1 or SDO since the drive started.
    statusword: Option<u16>,
    position: Option<(u64, i32)>,
    motion: Option<Motion>,
    /// Last positions, oldest overwritten.
    window: [Option<(u64, i32)>; WINDOW],
    next: usize,
    error_code: u16,
}

impl Observed {
    pub fn new(node: u8) -> Observed {
        Observed {
            node,
            statusword: None,
            position: None,
            motion: None,
            window: [None; WINDOW],
            next: 0,
            error_code: 0,
        }
    }

    /// The drive has restarted: what it said before no longer holds.
    pub fn forget(&mut self) {
        *self = Observed { error_code: self.error_code, ..Observed::new(self.node) };
    }

    /// Takes in a frame; `true` if it was the cyclic status.
    pub fn on_frame(&mut self, frame: &Frame, time_ns: u64) -> bool {
        if let Some(Status { statusword, position }) = decode_status(frame, self.node) {
            self.position = Some((time_ns, position));
            if let Some(slot) = self.window.get_mut(self.next) {
                *slot = self.position;
            }
            self.next = (self.next + 1) % WINDOW;
            self.set_statusword(statusword);
            return true;
        }
        if let Some(motion) = decode_motion(frame, self.node) {
            self.motion = Some(motion);
        } else if let Some(emergency) = emcy::decode(frame, self.node) {
            self.error_code = emergency.code;
        }
        false
    }

    /// Takes in a statusword however it was read. Leaving fault clears the error code.
    pub fn set_statusword(&mut self, statusword: u16) {
        let was_fault = self.state() == Some(PowerState::Fault);
        self.statusword = Some(statusword);
        if was_fault && self.state() != Some(PowerState::Fault) {
            self.error_code = 0;
        }
    }

    pub fn set_error_code(&mut self, code: u16) {
        self.error_code = code;
    }

    pub fn error_code(&self) -> u16 {
        self.error_code
    }

    pub fn statusword(&self) -> Option<u16> {
        self.statusword
    }

    /// Power state by the last statusword.
    pub fn state(&self) -> Option<PowerState> {
        self.statusword.and_then(PowerState::decode)
    }

    /// Last position in counts, and when it was on the wire.
    pub fn position(&self) -> Option<(u64, i32)> {
        self.position
    }

    /// Torque at the axis, Nm.
    pub fn effort_nm(&self, scaled: &Scaled) -> f64 {
        self.motion.map_or(0.0, |motion| scaled.effort_nm(motion.torque))
    }

    /// Velocity, rad/s: the drive's own, which comes seldom, or the one from its positions, which
    /// is coarse; whichever is larger, so that an axis stands still only when both say so.
    pub fn velocity_rad_s(&self, scaled: &Scaled) -> f64 {
        let told = self.motion.map_or(0.0, |motion| scaled.velocity_rad_s(motion.velocity.into()));
        let seen = scaled.velocity_rad_s(self.counts_per_s());
        if seen.abs() > told.abs() { seen } else { told }
    }

    fn counts_per_s(&self) -> f64 {
        // The slot to be written next holds the oldest position, once the window is full.
        let oldest = self.window.get(self.next).copied().flatten();
        let (Some((then_ns, from)), Some((now_ns, to))) = (oldest, self.position) else {
            return 0.0;
        };
        let elapsed_ns = now_ns.saturating_sub(then_ns);
        if elapsed_ns == 0 {
            return 0.0;
        }
        #[allow(clippy::cast_precision_loss, reason = "a window of milliseconds")]
        let elapsed_s = elapsed_ns as f64 * 1e-9;
        (f64::from(to) - f64::from(from)) / elapsed_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cia402::tests::config;

    fn status(position: i32) -> Frame {
        let [a, b, c, d] = position.to_le_bytes();
        Frame::new(0x183, &[0x37, 0x02, a, b, c, d]).unwrap()
    }

    #[test]
    fn an_axis_stands_still_only_when_positions_and_drive_agree() {
        let scaled = Scaled::new(&config(3)).unwrap();
        let mut observed = Observed::new(3);
        for tick in 0..8 {
            observed.on_frame(&status(10 * tick), u64::try_from(tick).unwrap() * 1_000_000);
        }
        assert!((observed.velocity_rad_s(&scaled) - 1.0).abs() < 1e-9, "10 counts a ms, 10000/rad");
        let still = Frame::new(0x283, &[0; 6]).unwrap();
        observed.on_frame(&still, 8_000_000);
        assert!((observed.velocity_rad_s(&scaled) - 1.0).abs() < 1e-9);
        let fast = Frame::new(0x283, &[0xE0, 0xB1, 0xFF, 0xFF, 0, 0]).unwrap();
        observed.on_frame(&fast, 8_000_000);
        assert!((observed.velocity_rad_s(&scaled) + 2.0).abs() < 1e-9, "-20000 counts/s");
    }

    #[test]
    fn an_error_code_lasts_until_the_fault_is_left() {
        let mut observed = Observed::new(3);
        observed.on_frame(&Frame::new(0x083, &[0x11, 0x86, 0x20, 0, 0, 0, 0, 0]).unwrap(), 0);
        observed.set_statusword(0x0218);
        assert_eq!(observed.error_code(), 0x8611);
        observed.set_statusword(0x0250);
        assert_eq!(observed.error_code(), 0);
    }
}
