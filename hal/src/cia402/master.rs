//! The master of one CiA 402 drive.
use super::Config;
use super::units::Scaled;
use crate::bus::Received;
use crate::drive::{ConfigError, Drive, DriveCommand, DriveFeedback, Outbox};

/// The master of one CiA 402 drive.
pub struct Cia402 {
    _scaled: Scaled,
}

impl Cia402 {
    /// A drive of which nothing has been heard yet.
    ///
    /// # Errors
    /// Names the value that cannot be.
    pub fn new(config: &Config) -> Result<Cia402, ConfigError> {
        Ok(Cia402 { _scaled: Scaled::new(config)? })
    }
}

impl Drive for Cia402 {
    fn on_frame(&mut self, _received: &Received) {}
    fn cycle(&mut self, _now_ns: u64, _command: &DriveCommand, _out: &mut Outbox) {}
    fn service(&mut self, _now_ns: u64, _out: &mut Outbox) -> bool {
        false
    }
    fn feedback(&self, _now_ns: u64) -> DriveFeedback {
        DriveFeedback::default()
    }
    fn stopped(&self) -> bool {
        false
    }
}
