//! A ring whose page, and whose reader's index, are written by anybody at any moment.
#![no_main]

use std::sync::atomic::Ordering;

use libfuzzer_sys::fuzz_target;
use shm_protocol::ring::{Receiver, Sender};
use shm_protocol_fuzz::{SHAPE, VALUE_WORDS, page, slot, steps};

fuzz_target!(|bytes: &[u8]| {
    // The ring that is received from, an honest sender of it that meets what others did to it, and the
    // ring that is sent into, of which only the reader's index is anybody's.
    let (hostile, honest_read) = page();
    let (mut honest, mut receiver) = (Sender::default(), Receiver::default());
    let (own, hostile_read) = page();
    let (mut sender, mut free) = (Sender::default(), SHAPE.slots());
    for step in steps(bytes) {
        match step.what % 8 {
            0 => step.scribble(&hostile),
            // The number that is due, under any checksum.
            1 => {
                let due = receiver.received().wrapping_add(1) & 0xffff_ffff;
                let place = (receiver.received().wrapping_mul(91) % SHAPE.slots()) as usize;
                hostile[place * SHAPE.stride()].store(step.value << 32 | due, Ordering::Relaxed);
            }
            2 => {
                let _ = honest.send(SHAPE, &hostile, &honest_read, &[step.value; VALUE_WORDS]);
            }
            3 => {
                let (before, there) = (receiver.received(), slot(&hostile, receiver.received()));
                let mut value = [0; VALUE_WORDS];
                let found = receiver.receive(SHAPE, &hostile, &mut value);
                assert_eq!(receiver.received(), before + u64::from(found.is_some()));
                let due = there[0] & 0xffff_ffff == (before + 1) & 0xffff_ffff;
                assert_eq!(found.is_some(), due);
                assert!(!due || value == there[1..]);
            }
            4 => receiver.publish(&honest_read),
            5 => assert!(receiver.waiting(SHAPE, &hostile) <= SHAPE.slots()),
            6 => {
                hostile_read.store(step.value, Ordering::Relaxed);
                let now = sender.free(SHAPE, &hostile_read);
                assert!(free <= now && now <= SHAPE.slots(), "what was free stays free");
                free = now;
            }
            _ => {
                let before = sender.sent();
                let there = free > 0 || sender.free(SHAPE, &hostile_read) > 0;
                let sent = sender.send(SHAPE, &own, &hostile_read, &[step.value; VALUE_WORDS]);
                assert_eq!((sent, sender.sent()), (there, before + u64::from(sent)));
                free = sender.free(SHAPE, &hostile_read);
                if sent {
                    let written = slot(&own, before);
                    assert_eq!(written[0] & 0xffff_ffff, (before + 1) & 0xffff_ffff);
                    assert_eq!(written[1..], [step.value; VALUE_WORDS]);
                }
            }
        }
    }
});
