//! The link's own ring, and the same with an intent encoded and decoded.

use shm_protocol::codec::intent;
use shm_protocol::layout::INTENTS;
use shm_protocol::records::Intent;
use shm_protocol::ring::{Receiver, Sender};
use shm_protocol::shape::Shape;

use crate::failure::Failure;
use crate::link::area::{Both, Way};
use crate::link::exchange::Channel;
use crate::link::record::Side;

/// The receiver says how far it has come as often while it goes once through the ring (SHM.md).
const QUARTERS: u64 = 4;

/// One end of two rings.
#[derive(Debug)]
pub struct Ring<'m, const N: usize> {
    shape: Shape,
    out: Way<'m>,
    inward: Way<'m>,
    sender: Sender,
    receiver: Receiver,
}

impl<'m, const N: usize> Ring<'m, N> {
    /// The end of `side`.
    #[must_use]
    pub fn new(shape: Shape, both: Both<Way<'m>>, side: Side) -> Self {
        let (out, inward) = both.ends(side);
        let (sender, receiver) = (Sender::default(), Receiver::default());
        Ring { shape, out, inward, sender, receiver }
    }

    #[inline(always)]
    fn put(&mut self, payload: &[u64; N]) -> bool {
        self.sender.send(self.shape, self.out.words, self.out.read, payload)
    }

    #[inline(always)]
    fn take(&mut self, payload: &mut [u64; N]) -> Result<bool, Failure> {
        let Some(intact) = self.receiver.receive(self.shape, self.inward.words, payload) else {
            return Ok(false);
        };
        let received = self.receiver.received();
        // A power of two, and no division in a hand-over.
        if received & (self.shape.slots() / QUARTERS - 1) == 0 {
            self.receiver.publish(self.inward.read);
        }
        if intact { Ok(true) } else { Err(Failure::Wrong { number: received }) }
    }
}

impl<const N: usize> Channel for Ring<'_, N> {
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
pub struct Intents<'m>(Ring<'m, { intent::WORDS }>);

impl<'m> Intents<'m> {
    /// The end of `side`.
    #[must_use]
    pub fn new(both: Both<Way<'m>>, side: Side) -> Self {
        Intents(Ring::new(INTENTS, both, side))
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
