//! The power state machine of CiA 402 (transitions 0 to 16), as a pure table.

/// State of the power stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Power {
    /// Self test.
    NotReady,
    /// Off; high voltage must not be switched on.
    SwitchOnDisabled,
    /// Off; may be switched on.
    Ready,
    /// Voltage on, no torque.
    SwitchedOn,
    /// Torque on, setpoints are followed.
    Enabled,
    /// Braking, or standing after a quick stop.
    QuickStop,
    /// Braking because of a fault.
    FaultReaction,
    /// Off because of a fault.
    Fault,
}

/// What a controlword asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// 0x06
    Shutdown,
    /// 0x07; from operation enabled the same bits mean "disable operation".
    SwitchOn,
    /// 0x0F
    EnableOperation,
    /// 0x02
    QuickStop,
    /// 0x00
    DisableVoltage,
}

impl Command {
    /// Reads bits 0 to 3 of a controlword.
    pub fn of(controlword: u16) -> Self {
        match controlword & 0x0f {
            bits if bits & 0x02 == 0 => Self::DisableVoltage,
            bits if bits & 0x04 == 0 => Self::QuickStop,
            bits if bits & 0x01 == 0 => Self::Shutdown,
            bits if bits & 0x08 == 0 => Self::SwitchOn,
            _ => Self::EnableOperation,
        }
    }
}

/// Bit 7 of the controlword; a rising edge resets a fault.
pub const FAULT_RESET: u16 = 0x80;

impl Power {
    /// The next state, or `None` where the command does nothing. `stays` says that option 605A
    /// keeps the drive in quick stop, from where it may be enabled again.
    pub fn after(self, command: Command, stays: bool) -> Option<Self> {
        use Command::{DisableVoltage, EnableOperation, QuickStop, Shutdown, SwitchOn};
        Some(match (self, command) {
            (Self::SwitchOnDisabled, Shutdown) => Self::Ready,
            (Self::Ready, SwitchOn | EnableOperation) => Self::SwitchedOn,
            (Self::SwitchedOn, EnableOperation) => Self::Enabled,
            (Self::Enabled, SwitchOn) => Self::SwitchedOn,
            (Self::SwitchedOn | Self::Enabled, Shutdown) => Self::Ready,
            (Self::Ready | Self::SwitchedOn, QuickStop) => Self::SwitchOnDisabled,
            (Self::Enabled, QuickStop) => Self::QuickStop,
            (Self::Ready | Self::SwitchedOn | Self::Enabled | Self::QuickStop, DisableVoltage) => {
                Self::SwitchOnDisabled
            }
            (Self::QuickStop, EnableOperation) if stays => Self::Enabled,
            _ => return None,
        })
    }

    /// Whether torque may act.
    pub fn is_energised(self) -> bool {
        matches!(self, Self::Enabled | Self::QuickStop | Self::FaultReaction)
    }

    /// In fault, or on the way there.
    pub fn is_fault(self) -> bool {
        matches!(self, Self::FaultReaction | Self::Fault)
    }

    /// Bits of the statusword that name the state, with remote (9) and, where the power stage has
    /// voltage, bit 4.
    pub fn statusword(self) -> u16 {
        let state = match self {
            Self::NotReady => 0x00,
            Self::SwitchOnDisabled => 0x40,
            Self::Ready => 0x21,
            Self::SwitchedOn => 0x33,
            Self::Enabled => 0x37,
            Self::QuickStop => 0x17,
            Self::FaultReaction => 0x1f,
            Self::Fault => 0x08,
        };
        state | 0x200
    }

    /// The state's name, as the status shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotReady => "not-ready",
            Self::SwitchOnDisabled => "switch-on-disabled",
            Self::Ready => "ready-to-switch-on",
            Self::SwitchedOn => "switched-on",
            Self::Enabled => "operation-enabled",
            Self::QuickStop => "quick-stop-active",
            Self::FaultReaction => "fault-reaction-active",
            Self::Fault => "fault",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Command::{DisableVoltage, EnableOperation, QuickStop, Shutdown, SwitchOn};

    const STATES: [Power; 8] = [
        Power::NotReady,
        Power::SwitchOnDisabled,
        Power::Ready,
        Power::SwitchedOn,
        Power::Enabled,
        Power::QuickStop,
        Power::FaultReaction,
        Power::Fault,
    ];

    #[test]
    fn controlwords_mean_what_cia_402_says() {
        for (word, command) in [
            (0x00, DisableVoltage),
            (0x02, QuickStop),
            (0x06, Shutdown),
            (0x07, SwitchOn),
            (0x0f, EnableOperation),
            (0x0d, DisableVoltage),
            (0x0b, QuickStop),
            (0x80, DisableVoltage),
            (0x1f, EnableOperation),
        ] {
            assert_eq!(Command::of(word), command, "{word:#x}");
        }
    }

    #[test]
    fn every_transition_and_no_other() {
        let table = [
            (Power::SwitchOnDisabled, Shutdown, Power::Ready), // 2
            (Power::Ready, SwitchOn, Power::SwitchedOn),       // 3
            (Power::Ready, EnableOperation, Power::SwitchedOn), // 3, then 4
            (Power::SwitchedOn, EnableOperation, Power::Enabled), // 4
            (Power::Enabled, SwitchOn, Power::SwitchedOn),     // 5
            (Power::SwitchedOn, Shutdown, Power::Ready),       // 6
            (Power::Ready, QuickStop, Power::SwitchOnDisabled), // 7
            (Power::Ready, DisableVoltage, Power::SwitchOnDisabled), // 7
            (Power::Enabled, Shutdown, Power::Ready),          // 8
            (Power::Enabled, DisableVoltage, Power::SwitchOnDisabled), // 9
            (Power::SwitchedOn, DisableVoltage, Power::SwitchOnDisabled), // 10
            (Power::SwitchedOn, QuickStop, Power::SwitchOnDisabled), // 10
            (Power::Enabled, QuickStop, Power::QuickStop),     // 11
            (Power::QuickStop, DisableVoltage, Power::SwitchOnDisabled), // 12
        ];
        for state in STATES {
            for command in [Shutdown, SwitchOn, EnableOperation, QuickStop, DisableVoltage] {
                let expected = table.iter().find(|t| t.0 == state && t.1 == command).map(|t| t.2);
                assert_eq!(state.after(command, false), expected, "{state:?} {command:?}");
            }
        }
        assert_eq!(Power::QuickStop.after(EnableOperation, true), Some(Power::Enabled)); // 16
    }

    #[test]
    fn statuswords_satisfy_the_masks() {
        let masks = [
            (0x4f, 0x00),
            (0x4f, 0x40),
            (0x6f, 0x21),
            (0x6f, 0x23),
            (0x6f, 0x27),
            (0x6f, 0x07),
            (0x4f, 0x0f),
            (0x4f, 0x08),
        ];
        for (index, state) in STATES.into_iter().enumerate() {
            for (other, (mask, value)) in masks.into_iter().enumerate() {
                assert_eq!(state.statusword() & mask == value, index == other, "{state:?}");
            }
        }
    }
}
