//! rtrb, for comparison: it lives on one process' heap, so between two threads.

use super::channels::SMALL_WORDS;
use super::exchange::{Channel, Rounds, drain, flood};
use super::record::Check;
use crate::clock::stamp;
use crate::failure::Failure;
use crate::host;

/// Records that may wait, as many as in the link's ring.
const WAITING_MAX: usize = 256;

type Record = [u64; SMALL_WORDS];

struct Producer(rtrb::Producer<Record>);
struct Consumer(rtrb::Consumer<Record>);

impl Channel for Producer {
    type Record = Record;

    #[inline]
    fn send(&mut self, record: &Record) -> Result<bool, Failure> {
        Ok(self.0.push(*record).is_ok())
    }

    fn receive(&mut self, _: &mut Record) -> Result<bool, Failure> {
        Ok(false)
    }
}

impl Channel for Consumer {
    type Record = Record;

    fn send(&mut self, _: &Record) -> Result<bool, Failure> {
        Ok(false)
    }

    #[inline]
    fn receive(&mut self, record: &mut Record) -> Result<bool, Failure> {
        match self.0.pop() {
            Ok(found) => {
                *record = found;
                Ok(true)
            }
            Err(_) => Ok(false),
        }
    }
}

/// Sends records to a thread on the peer's processor; from the first sent to the last received, in
/// counts of the clock.
pub fn rtrb(rounds: Rounds, check: Check, far: usize) -> Result<u64, Failure> {
    let (producer, consumer) = rtrb::RingBuffer::new(WAITING_MAX);
    let (mut producer, mut consumer) = (Producer(producer), Consumer(consumer));
    let ready = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            // Refused as the peer's own was, which was said.
            let _ = host::pin(far);
            ready.wait();
            drain(&mut consumer, rounds, check).map(|()| stamp())
        });
        ready.wait();
        let begun = stamp();
        flood(&mut producer, rounds, check)?;
        match receiver.join() {
            Ok(ended) => Ok(ended?.wrapping_sub(begun)),
            Err(_) => Err(Failure::Disagreement("the receiving thread")),
        }
    })
}
