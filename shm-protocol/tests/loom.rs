//! The rings and the board under every order that the memory model allows.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p shm-protocol --release --test loom`
#![allow(unexpected_cfgs, reason = "set by whoever runs the models")]
#![cfg(loom)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail")]

use std::sync::atomic::Ordering;

use loom::sync::Arc;
use loom::sync::atomic::AtomicU64;
use loom::thread;
use shm_protocol::ring::{Receiver, Sender};
use shm_protocol::shape::Shape;
use shm_protocol::words::{Load, Store, count_up, counted};
use shm_protocol::{board, lossy, stamp};

struct Word(AtomicU64);

impl Load for Word {
    fn load(&self, order: Ordering) -> u64 {
        self.0.load(order)
    }

    fn fence(order: Ordering) {
        loom::sync::atomic::fence(order);
    }
}

impl Store for Word {
    fn store(&self, value: u64, order: Ordering) {
        self.0.store(value, order);
    }

    fn add_one(&self, order: Ordering) {
        self.0.fetch_add(1, order);
    }
}

fn words(count: usize) -> Vec<Word> {
    (0..count).map(|_| Word(AtomicU64::new(0))).collect()
}

/// Slots of a head and two words, so that a torn copy shows.
const SHAPE: Shape = Shape::new(2, 3);

fn model(check: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(check);
}

#[test]
fn a_record_is_received_whole_and_its_slot_is_used_again_only_afterwards() {
    model(|| {
        let page = Arc::new((words(SHAPE.words()), words(1)));
        let sender = {
            let page = page.clone();
            thread::spawn(move || {
                let mut sender = Sender::default();
                // One more than there are slots.
                (1..=3).filter(|n| sender.send(SHAPE, &page.0, &page.1[0], &[*n; 2])).count() as u64
            })
        };
        let mut receiver = Receiver::default();
        let take = |receiver: &mut Receiver| {
            let mut payload = [0; 2];
            let intact = receiver.receive(SHAPE, &page.0, &mut payload)?;
            assert!(intact, "a record that nobody harmed");
            assert_eq!(payload, [receiver.received(); 2]);
            receiver.publish(&page.1[0]);
            Some(())
        };
        while receiver.received() < 2 && take(&mut receiver).is_some() {}
        let sent = sender.join().unwrap();
        while take(&mut receiver).is_some() {}
        assert!(sent >= 2);
        assert_eq!(receiver.received(), sent);
    });
}

/// What stands for a slot's memory: loom tells when two threads reach it in no order.
struct Slot(loom::cell::UnsafeCell<u64>);

// SAFETY: it is what the model checks; an access without an order ends the test.
unsafe impl Sync for Slot {}
// SAFETY: as above.
unsafe impl Send for Slot {}

#[test]
fn a_slot_is_free_only_after_the_receiver_is_done_with_it() {
    const ONE: Shape = Shape::new(1, 3);
    model(|| {
        let page = Arc::new((words(ONE.words()), words(1), Slot(loom::cell::UnsafeCell::new(0))));
        let sender = {
            let page = page.clone();
            thread::spawn(move || {
                let mut sender = Sender::default();
                // SAFETY: see `Slot`.
                page.2.0.with_mut(|slot| unsafe { *slot = 1 });
                assert!(sender.send(ONE, &page.0, &page.1[0], &[1; 2]));
                if sender.free(ONE, &page.1[0]) == 1 {
                    // SAFETY: see `Slot`.
                    page.2.0.with_mut(|slot| unsafe { *slot = 2 });
                }
            })
        };
        let mut receiver = Receiver::default();
        if receiver.receive(ONE, &page.0, &mut [0; 2]).is_some() {
            // SAFETY: see `Slot`.
            page.2.0.with(|slot| assert_eq!(unsafe { *slot }, 1));
            receiver.publish(&page.1[0]);
        }
        sender.join().unwrap();
    });
}

#[test]
fn the_board_gives_whole_values_and_never_goes_back() {
    model(|| {
        let page = Arc::new((words(SHAPE.words()), words(1)));
        let writer = {
            let page = page.clone();
            thread::spawn(move || {
                let mut writer = board::Writer::default();
                for number in 1..=3 {
                    writer.publish(SHAPE, &page.0, &page.1[0], &[number; 2]);
                }
            })
        };
        let mut last = 0;
        for _ in 0..2 {
            let mut value = [0; 2];
            if board::read(SHAPE, &page.0, &page.1[0], 1, &mut value) {
                assert_eq!(value[0], value[1], "torn");
                assert!(value[0] >= last && value[0] >= 1);
                last = value[0];
            }
        }
        writer.join().unwrap();
        let mut value = [0; 2];
        assert!(board::read(SHAPE, &page.0, &page.1[0], 1, &mut value));
        assert_eq!(value, [3; 2]);
    });
}

#[test]
fn events_are_read_or_counted_as_missed() {
    model(|| {
        let page = Arc::new((words(SHAPE.words()), words(1)));
        let writer = {
            let page = page.clone();
            thread::spawn(move || {
                let mut writer = lossy::Writer::default();
                for number in 1..=3 {
                    writer.push(SHAPE, &page.0, &page.1[0], &[number; 2]);
                }
            })
        };
        let (mut reader, mut read) = (lossy::Reader::default(), 0);
        let mut value = [0; 2];
        if reader.next(SHAPE, &page.0, &page.1[0], &mut value) {
            assert_eq!(value[0], value[1], "torn");
            read += 1;
        }
        writer.join().unwrap();
        while reader.next(SHAPE, &page.0, &page.1[0], &mut value) {
            assert_eq!(value[0], value[1], "torn");
            read += 1;
        }
        assert_eq!(read + reader.missed(), 3);
    });
}

/// Each of the three below leaves out what would cover for a missing order: the stamps without a
/// number of the newest, the numbers where nothing is overwritten.
#[test]
fn a_complete_stamp_alone_shows_the_whole_value() {
    model(|| {
        let page = Arc::new(words(SHAPE.stride()));
        let writer = {
            let page = page.clone();
            thread::spawn(move || stamp::write(&page, 1, &[1; 2]))
        };
        let mut value = [0; 2];
        if stamp::read(&page, 1, &mut value) {
            assert_eq!(value, [1; 2]);
        }
        writer.join().unwrap();
    });
}

#[test]
fn a_board_that_names_a_value_has_it() {
    model(|| {
        let page = Arc::new((words(SHAPE.words()), words(1)));
        let writer = {
            let page = page.clone();
            thread::spawn(move || {
                let mut writer = board::Writer::default();
                for number in 1..=SHAPE.slots() {
                    writer.publish(SHAPE, &page.0, &page.1[0], &[number; 2]);
                }
            })
        };
        let named = page.1[0].load(Ordering::Relaxed);
        let mut value = [0; 2];
        let found = board::read(SHAPE, &page.0, &page.1[0], 1, &mut value);
        assert!(found || named == 0, "value {named} was named and not there");
        assert!(!found || value[0] >= named);
        writer.join().unwrap();
    });
}

#[test]
fn no_event_is_missed_where_none_is_overwritten() {
    model(|| {
        let page = Arc::new((words(SHAPE.words()), words(1)));
        let writer = {
            let page = page.clone();
            thread::spawn(move || {
                let mut writer = lossy::Writer::default();
                for number in 1..=SHAPE.slots() {
                    writer.push(SHAPE, &page.0, &page.1[0], &[number; 2]);
                }
            })
        };
        let (mut reader, mut value) = (lossy::Reader::default(), [0; 2]);
        let early = reader.next(SHAPE, &page.0, &page.1[0], &mut value);
        assert!(!early || value == [1; 2]);
        writer.join().unwrap();
        while reader.next(SHAPE, &page.0, &page.1[0], &mut value) {}
        assert_eq!((reader.missed(), value), (0, [SHAPE.slots(); 2]));
    });
}

#[test]
fn a_stop_is_seen_with_what_was_written_before_it_and_none_is_lost() {
    model(|| {
        let page = Arc::new(words(2));
        let askers: Vec<_> = (0..2)
            .map(|_| {
                let page = page.clone();
                thread::spawn(move || {
                    page[0].store(7, Ordering::Relaxed);
                    count_up(&page[1]);
                })
            })
            .collect();
        if counted(&page[1]) != 0 {
            assert_eq!(page[0].load(Ordering::Relaxed), 7);
        }
        for asker in askers {
            asker.join().unwrap();
        }
        assert_eq!(counted(&page[1]), 2);
    });
}
