//! One tick, from the outside: what it reads, in which order it decides, what it writes.

use shm_protocol::records::Cause;

use crate::config::Config;
use crate::io::{Inputs, Outputs};
use crate::mode::Mode;

/// How the kernel begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Without power, nothing latched.
    Disarmed,
    /// Latched: an operator must reset first (a restarted process begins so).
    Halted {
        /// Why.
        cause: Cause,
        /// Which axis, bus, thread or bits.
        detail: u32,
    },
}

/// The kernel's whole state.
#[derive(Clone, Debug, PartialEq)]
pub struct Kernel {
    mode: Mode,
    epoch: u32,
}

impl Kernel {
    /// A kernel that has not run a tick yet.
    pub fn new(_config: &Config, begin: Begin) -> Kernel {
        let mode = match begin {
            Begin::Disarmed => Mode::Disarmed,
            Begin::Halted { cause, detail } => Mode::Halted { cause, detail },
        };
        Kernel { mode, epoch: 1 }
    }

    /// The mode after the last tick.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The epoch that intents must carry.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// One tick: `inputs` in, `outputs` overwritten whole.
    pub fn tick(&mut self, config: &Config, _inputs: &Inputs, outputs: &mut Outputs) {
        outputs.clear(config);
        outputs.mode = self.mode;
        outputs.epoch = self.epoch;
    }
}
