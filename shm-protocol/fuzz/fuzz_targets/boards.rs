//! A board and a lossy ring whose words are written by anybody between two reads.
#![no_main]

use std::sync::atomic::Ordering;

use libfuzzer_sys::fuzz_target;
use shm_protocol::{board, lossy};
use shm_protocol_fuzz::{SHAPE, VALUE_WORDS, page, slot, steps};

fuzz_target!(|bytes: &[u8]| {
    let (values, newest) = page();
    let (events, written) = page();
    let (mut board, mut ring) = (board::Writer::default(), lossy::Writer::default());
    let mut reader = lossy::Reader::default();
    for step in steps(bytes) {
        let mut value = [0; VALUE_WORDS];
        match step.what % 8 {
            0 => step.scribble(&values),
            1 => step.scribble(&events),
            2 => newest.store(step.value, Ordering::Relaxed),
            3 => written.store(step.value, Ordering::Relaxed),
            4 => board.publish(SHAPE, &values, &newest, &[step.value; VALUE_WORDS]),
            5 => ring.push(SHAPE, &events, &written, &[step.value; VALUE_WORDS]),
            6 => {
                let number = newest.load(Ordering::Relaxed);
                let there = slot(&values, number);
                let complete = number.wrapping_mul(2);
                let found = board::read(SHAPE, &values, &newest, board::TRIES_MAX, &mut value);
                assert_eq!(found, complete != 0 && there[0] == complete);
                assert!(!found || value == there[1..]);
            }
            _ => {
                let before = reader.missed();
                let found = reader.next(SHAPE, &events, &written, &mut value);
                assert!(reader.missed() >= before);
                let whole = |index| {
                    let there = slot(&events, index);
                    there[0] != 0 && there[0] % 2 == 0 && there[1..] == value
                };
                assert!(!found || (0..SHAPE.slots()).any(whole));
            }
        }
    }
});
