//! The link's own ring, and the same with an intent encoded and decoded.

use shm_protocol::codec::intent;
use shm_protocol::layout::INTENTS;
use shm_protocol::records::Intent;
use shm_protocol::ring::{Receiver, Sender};
use shm_protocol::shape::Shape;

use crate::failure::Failure;
use crate::link::area::{Both, LARGE, SHORT, SMALL, Way};
use crate::link::exchange::Channel;
use crate::link::record::Side;

use super::{LARGE_WORDS, SMALL_WORDS};

/// The receiver says how far it has come as often while it goes once through the ring (SHM.md).
const QUARTERS: u64 = 4;

/// Payloads of 56 bytes.
pub type Small<'m> = Ring<'m, { SMALL.slots() }, { SMALL.stride() }, SMALL_WORDS>;
/// The same in fewer slots.
pub type Short<'m> = Ring<'m, { SHORT.slots() }, { SHORT.stride() }, SMALL_WORDS>;
/// Payloads of 248 bytes.
pub type Large<'m> = Ring<'m, { LARGE.slots() }, { LARGE.stride() }, LARGE_WORDS>;

/// One end of two rings, whose shape is known when they are compiled, as that of every ring of the
/// link is (`shm_protocol::layout`).
#[derive(Debug)]
pub struct Ring<'m, const SLOTS: u64, const STRIDE: usize, const N: usize> {
    out: Way<'m>,
    inward: Way<'m>,
    sender: Sender,
    receiver: Receiver,
}

impl<'m, const SLOTS: u64, const STRIDE: usize, const N: usize> Ring<'m, SLOTS, STRIDE, N> {
    const SHAPE: Shape = Shape::new(SLOTS, STRIDE);

    /// The end of `side`.
    #[must_use]
    pub fn new(both: Both<Way<'m>>, side: Side) -> Self {
        let (out, inward) = both.ends(side);
        let (sender, receiver) = (Sender::default(), Receiver::default());
        Ring { out, inward, sender, receiver }
    }

    #[inline(always)]
    fn put(&mut self, payload: &[u64; N]) -> bool {
        self.sender.send(Self::SHAPE, self.out.words, self.out.read, payload)
    }

    #[inline(always)]
    fn take(&mut self, payload: &mut [u64; N]) -> Result<bool, Failure> {
        let Some(intact) = self.receiver.receive(Self::SHAPE, self.inward.words, payload) else {
            return Ok(false);
        };
        let received = self.receiver.received();
        // A power of two, and no division in a hand-over.
        if received & (SLOTS / QUARTERS - 1) == 0 {
            self.receiver.publish(self.inward.read);
        }
        if intact { Ok(true) } else { Err(Failure::Wrong { number: received }) }
    }
}

impl<const SLOTS: u64, const STRIDE: usize, const N: usize> Channel for Ring<'_, SLOTS, STRIDE, N> {
    type Record = [u64; N];

    #[inline(always)]
    fn send(&mut self, record: &[u64; N]) -> Result<bool, Failure> {
        Ok(self.put(record))
    }

    #[inline(always)]
    fn receive(&mut self, record: &mut [u64; N]) -> Result<bool, Failure> {
        self.take(record)
    }
}

/// One end of two rings of intents, as they lie on the link's pages.
#[derive(Debug)]
pub struct Intents<'m>(Ring<'m, { INTENTS.slots() }, { INTENTS.stride() }, { intent::WORDS }>);

impl<'m> Intents<'m> {
    /// The end of `side`.
    #[must_use]
    pub fn new(both: Both<Way<'m>>, side: Side) -> Self {
        Intents(Ring::new(both, side))
    }
}

impl Channel for Intents<'_> {
    type Record = Intent;

    #[inline(always)]
    fn send(&mut self, record: &Intent) -> Result<bool, Failure> {
        let mut words = [0; intent::WORDS];
        intent::put(record, &mut words);
        Ok(self.0.put(&words))
    }

    #[inline(always)]
    fn receive(&mut self, record: &mut Intent) -> Result<bool, Failure> {
        let mut words = [0; intent::WORDS];
        let is_new = self.0.take(&mut words)?;
        if is_new {
            *record = intent::take(&words);
        }
        Ok(is_new)
    }
}
