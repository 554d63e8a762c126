//! The rings, the board and the stop word under every order that the memory model allows: all
//! interleavings of each small case, without a bound on preemption, counted.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p shm-protocol --release --test loom -- --nocapture`
//!
//! Each comment names the orderings without which its model fails; `orderings.py` weakens every one
//! of them and holds the comments to what it finds.
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

/// The first slot of a page.
fn slot(page: &[Word]) -> (&Word, &[Word; 2]) {
    let (head, rest) = page.split_first().unwrap();
    (head, rest.first_chunk().unwrap())
}

/// Runs one case to its end and says how many interleavings it has.
fn model(name: &str, check: impl Fn() + Sync + Send + 'static) {
    use std::sync::atomic::AtomicU64;
    let count = std::sync::Arc::new(AtomicU64::new(0));
    let counted = count.clone();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = None;
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        check();
    });
    println!("{name}: {} interleavings", count.load(Ordering::Relaxed));
}

/// The ring, gone round twice.
/// Fails when weakened: ring::send store Release, ring::receive load Acquire.
#[test]
fn a_record_is_received_whole_and_its_slot_is_used_again_only_afterwards() {
    model("a_record_is_received_whole_and_its_slot_is_used_again_only_afterwards", || {
        let page = Arc::new((words(SHAPE.words()), words(1)));
        let sender = {
            let page = page.clone();
            thread::spawn(move || {
                let mut sender = Sender::default();
                // Twice as many tries as there are slots; numbered by what was taken.
                for _ in 0..4 {
                    let number = sender.sent() + 1;
                    let _ = sender.send(SHAPE, &page.0, &page.1[0], &[number; 2]);
                }
                sender.sent()
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
        for _ in 0..3 {
            let _ = take(&mut receiver);
        }
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

/// What the words themselves cannot show: loom puts no load off behind a later store of its thread, so
/// that a slot used again too early is told by an access beside the words.
/// Fails when weakened: ring::send store Release, ring::receive load Acquire,
/// ring::publish store Release, ring::free load Acquire.
#[test]
fn a_slot_is_free_only_after_the_receiver_is_done_with_it() {
    const ONE: Shape = Shape::new(1, 3);
    model("a_slot_is_free_only_after_the_receiver_is_done_with_it", || {
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

/// The board, its slots overwritten under the reader.
/// Fails when weakened: stamp::write fence Release, stamp::read fence Acquire.
#[test]
fn the_board_gives_whole_values_and_never_goes_back() {
    model("the_board_gives_whole_values_and_never_goes_back", || {
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

/// The lossy ring, its slots overwritten under the reader.
/// Fails when weakened: stamp::write fence Release, stamp::read fence Acquire.
#[test]
fn events_are_read_or_counted_as_missed() {
    model("events_are_read_or_counted_as_missed", || {
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
        for _ in 0..2 {
            if reader.next(SHAPE, &page.0, &page.1[0], &mut value) {
                assert_eq!(value[0], value[1], "torn");
                read += 1;
            }
        }
        writer.join().unwrap();
        while reader.next(SHAPE, &page.0, &page.1[0], &mut value) {
            assert_eq!(value[0], value[1], "torn");
            read += 1;
        }
        assert_eq!(read + reader.missed(), 3);
    });
}

/// This one and the two after it leave out what would cover for a missing order: here the number of
/// the newest, there the overwriting.
///
/// Fails when weakened: stamp::write store Release, stamp::read load Acquire.
#[test]
fn a_complete_stamp_alone_shows_the_whole_value() {
    model("a_complete_stamp_alone_shows_the_whole_value", || {
        let page = Arc::new(words(SHAPE.stride()));
        let writer = {
            let page = page.clone();
            thread::spawn(move || stamp::write(slot(&page), 1, &[1; 2]))
        };
        let mut value = [0; 2];
        if stamp::read(slot(&page), 1, &mut value) {
            assert_eq!(value, [1; 2]);
        }
        writer.join().unwrap();
    });
}

/// The board, nothing overwritten.
/// Fails when weakened: board::publish store Release, board::read load Acquire.
#[test]
fn a_board_that_names_a_value_has_it() {
    model("a_board_that_names_a_value_has_it", || {
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

/// The lossy ring, nothing overwritten.
/// Fails when weakened: lossy::push store Release, lossy::next load Acquire.
#[test]
fn no_event_is_missed_where_none_is_overwritten() {
    model("no_event_is_missed_where_none_is_overwritten", || {
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

/// A stop word that two threads of the planner count up.
/// Fails when weakened: words::count_up add_one Release, words::counted load Acquire.
#[test]
fn a_stop_is_seen_with_what_was_written_before_it_and_none_is_lost() {
    model("a_stop_is_seen_with_what_was_written_before_it_and_none_is_lost", || {
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

/// The stop word beside a ring that takes nothing more.
/// Fails when weakened: words::count_up add_one Release, words::counted load Acquire.
#[test]
fn a_stop_overtakes_a_full_ring() {
    model("a_stop_overtakes_a_full_ring", || {
        let page = Arc::new((words(SHAPE.words()), words(2)));
        let planner = {
            let page = page.clone();
            thread::spawn(move || {
                let mut sender = Sender::default();
                while sender.send(SHAPE, &page.0, &page.1[0], &[sender.sent() + 1; 2]) {}
                count_up(&page.1[1]);
            })
        };
        let receiver = Receiver::default();
        if counted(&page.1[1]) != 0 {
            assert_eq!(receiver.waiting(SHAPE, &page.0), SHAPE.slots());
        }
        planner.join().unwrap();
        assert_eq!(counted(&page.1[1]), 1);
    });
}
