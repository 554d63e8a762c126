//! The drives' places on the kernel's CAN interfaces: one raw socket an interface. What is heard
//! goes into the world with the kernel's time stamp; what drives send goes out at once.

use std::os::fd::BorrowedFd;

use hal::bus::{Bus, BusAddress, BusError};

use super::{Server, ServerError};
use crate::interface::check_virtual;
use crate::spec::WorldSpec;

/// Frames taken from one interface between two steps of the world.
const BATCH_MAX: usize = 512;
/// Name of the client; the kernel's bus shows it nowhere.
const CLIENT: &str = "sim";
/// After so long a frame that the kernel had no room for is offered again, ns.
pub const RETRY_NS: u64 = 500_000;

/// One bus of the robot that is an interface of the kernel.
pub struct Attached {
    /// Its index in the world.
    bus: usize,
    interface: String,
    /// Absent after the interface was deleted.
    port: Option<Box<dyn Bus>>,
    down: bool,
    /// Frames that the socket's buffer had no room for, as told so far.
    missed: u64,
}

impl Attached {
    /// Opens every interface that the robot file names.
    ///
    /// # Errors
    /// An interface is missing, down, real, or closed to this user.
    pub fn open_all(spec: &WorldSpec) -> Result<Vec<Attached>, ServerError> {
        let buses = spec.buses.iter().enumerate();
        let attached = buses.filter_map(|(bus, spec)| Some((bus, spec.interface.clone()?)));
        attached
            .map(|(bus, interface)| {
                let mut attached = Attached { bus, interface, port: None, down: false, missed: 0 };
                attached.open()?;
                Ok(attached)
            })
            .collect()
    }

    fn open(&mut self) -> Result<(), ServerError> {
        check_virtual(&self.interface)?;
        let address = BusAddress::SocketCan { interface: self.interface.clone() };
        self.port = Some(hal::bus::open(&address, CLIENT, &[], None)?);
        self.missed = 0;
        Ok(())
    }

    /// Readable when a frame waits.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.port.as_ref().map(|port| port.descriptor())
    }
}

impl Server {
    /// Takes in what the interfaces have. A stamp after `now_ns` counts as `now_ns`: the frame was
    /// there before the drives act, and they act now.
    pub(super) fn hear(&mut self, now_ns: u64) {
        let Self { attached, world, log, .. } = self;
        for Attached { bus, interface, port, down, missed } in attached {
            let Some(open) = port else { continue };
            for _ in 0..BATCH_MAX {
                match open.receive() {
                    Ok(Some(received)) => {
                        if std::mem::take(down) {
                            log.say(format!("{interface} is up again"));
                        }
                        let at_ns = received.time_ns.min(now_ns);
                        world.hear(*bus, received.frame, at_ns, received.echo);
                    }
                    Ok(None) => break,
                    Err(BusError::Gone) => {
                        log.say(format!("{interface} was deleted; waiting for it"));
                        *port = None;
                        break;
                    }
                    Err(error) => {
                        if !std::mem::replace(down, true) {
                            log.say(format!("{interface}: {error}"));
                        }
                    }
                }
            }
            let lost = port.as_ref().map_or(*missed, |port| port.lost());
            if lost > *missed {
                log.say(format!(
                    "{} frames of {interface} came too fast for the drives",
                    lost - *missed
                ));
                *missed = lost;
            }
        }
    }

    /// Hands the kernel what the drives send. True if it had no room for all of it.
    pub(super) fn transmit(&mut self) -> bool {
        let Self { attached, world, .. } = self;
        let mut waits = false;
        for Attached { bus, port, .. } in attached {
            while let Some(frame) = world.outgoing(*bus) {
                match port.as_mut().map(|port| port.send(&frame)) {
                    Some(Ok(())) => world.sent(*bus),
                    Some(Err(BusError::Full)) => {
                        waits = true;
                        break;
                    }
                    // Down or deleted: nobody is on the other end of the cable.
                    None | Some(Err(_)) => world.unsent(*bus),
                }
            }
        }
        waits
    }

    /// Opens again what was deleted and is there again, and still virtual.
    pub(super) fn reattach(&mut self) {
        for attached in &mut self.attached {
            if attached.port.is_none() && attached.open().is_ok() {
                self.log.say(format!("{} is there again", attached.interface));
            }
        }
    }
}
