//! What the kernel's netlink says of a CAN interface.

use socketcan::CanInterface;
use socketcan::nl::CanState;

/// What a driver reports; a virtual interface reports nothing of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Bits per second.
    pub bitrate: Option<u32>,
    /// After this time a controller that is bus-off comes back by itself, ms; 0: never.
    pub restart_ms: Option<u32>,
    /// The controller.
    pub state: Option<CanState>,
    /// Its error counters, sending and receiving.
    pub errors: Option<(u16, u16)>,
}

/// Asks for an interface's parameters.
///
/// # Errors
/// What the kernel said, in words.
pub fn ask(interface: &str) -> Result<Link, String> {
    let found = CanInterface::open(interface).map_err(|error| error.to_string())?;
    let found = found.can_params().map_err(|error| error.to_string())?;
    Ok(Link {
        bitrate: found.bit_timing.map(|timing| timing.bitrate),
        restart_ms: found.restart_ms,
        state: found.state,
        errors: found.berr_counter.map(|counter| (counter.txerr, counter.rxerr)),
    })
}

/// The controller's state as `ip -details link` writes it.
pub fn state_words(state: CanState) -> &'static str {
    match state {
        CanState::ErrorActive => "ERROR-ACTIVE",
        CanState::ErrorWarning => "ERROR-WARNING",
        CanState::ErrorPassive => "ERROR-PASSIVE",
        CanState::BusOff => "BUS-OFF",
        CanState::Stopped => "STOPPED",
        CanState::Sleeping => "SLEEPING",
    }
}
