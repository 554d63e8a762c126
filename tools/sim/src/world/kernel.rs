//! The world's side of the kernel's buses: what was heard goes in with its time, what drives send
//! waits to be fetched. Still no I/O and no clock: the server has the sockets.

use hal::frame::{Frame, FrameKind};

use super::{Identity, Name, World};
use crate::bus::kernel::OTHERS;
use crate::bus::wire::Wire;

/// The kernel does not tell whose process sent a frame: everybody else on its bus has this name.
const OTHERS_NAME: &str = "can";

impl World {
    pub(super) fn name_others(&mut self) {
        let name = Name::from(OTHERS_NAME).unwrap_or_default();
        for bus in self.buses.iter_mut().filter(|bus| matches!(bus.wire, Wire::Kernel(_))) {
            let _ = Self::identify(bus, OTHERS, Identity { name, pid: 0 });
        }
    }

    /// A frame was on a bus of the kernel at `at_ns`; one of the drives' own with `echo`. It takes
    /// effect when the world advances to that time, not before the time it has come to.
    pub fn hear(&mut self, bus: usize, frame: Frame, at_ns: u64, echo: bool) {
        let now_ns = self.now_ns;
        let Some(state) = self.buses.get_mut(bus) else { return };
        // A controller's error frame was never on the wire.
        let Some(wire) = state.wire.kernel().filter(|_| frame.kind() != FrameKind::Error) else {
            return;
        };
        if !wire.hear(frame, at_ns.max(now_ns), echo) {
            state.counters.overflowed += 1;
        }
    }

    /// What a drive on a bus of the kernel wants to send next. Say afterwards what became of it.
    pub fn outgoing(&mut self, bus: usize) -> Option<Frame> {
        self.buses.get_mut(bus)?.wire.kernel()?.outgoing().copied()
    }

    /// The kernel took it; its echo will be heard.
    pub fn sent(&mut self, bus: usize) {
        if let Some(wire) = self.buses.get_mut(bus).and_then(|state| state.wire.kernel()) {
            wire.sent();
        }
    }

    /// The kernel refused it: it is lost, as from a drive whose cable is cut.
    pub fn unsent(&mut self, bus: usize) {
        let Some(state) = self.buses.get_mut(bus) else { return };
        let lost = state.wire.kernel().is_some_and(|wire| wire.unsent());
        state.counters.overflowed += u64::from(lost);
    }
}
