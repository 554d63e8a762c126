use super::*;
use proptest::prelude::*;
use std::sync::atomic::AtomicU64;

const SHAPE: Shape = Shape::new(8, 16);
const PAYLOAD: usize = 7;

fn page() -> (Vec<AtomicU64>, AtomicU64) {
    ((0..SHAPE.words()).map(|_| AtomicU64::new(0)).collect(), AtomicU64::new(0))
}

#[test]
fn records_arrive_in_order_and_whole() {
    let (words, read) = page();
    let (mut sender, mut receiver) = (Sender::default(), Receiver::default());
    let mut payload = [0; PAYLOAD];
    for number in 0..1000 {
        assert!(sender.send(SHAPE, &words, &read, &[number; PAYLOAD]));
        assert_eq!(receiver.waiting(SHAPE, &words), 1);
        assert_eq!(receiver.receive(SHAPE, &words, &mut payload), Some(true));
        assert_eq!(payload, [number; PAYLOAD]);
        assert_eq!(receiver.receive(SHAPE, &words, &mut payload), None);
        receiver.publish(&read);
    }
    assert_eq!((sender.sent(), receiver.received()), (1000, 1000));
}

#[test]
fn a_full_ring_takes_nothing_until_the_receiver_says_so() {
    let (words, read) = page();
    let (mut sender, mut receiver) = (Sender::default(), Receiver::default());
    for number in 0..SHAPE.slots() {
        assert_eq!(sender.free(SHAPE, &read), SHAPE.slots() - number);
        assert!(sender.send(SHAPE, &words, &read, &[number; PAYLOAD]));
    }
    assert!(!sender.send(SHAPE, &words, &read, &[99; PAYLOAD]));
    assert_eq!(receiver.waiting(SHAPE, &words), SHAPE.slots());
    let mut payload = [0; PAYLOAD];
    assert_eq!(receiver.receive(SHAPE, &words, &mut payload), Some(true));
    assert!(!sender.send(SHAPE, &words, &read, &[99; PAYLOAD]), "not published yet");
    receiver.publish(&read);
    assert!(sender.send(SHAPE, &words, &read, &[99; PAYLOAD]));
    assert!(!sender.send(SHAPE, &words, &read, &[99; PAYLOAD]));
    for number in 1..SHAPE.slots() {
        assert_eq!(receiver.receive(SHAPE, &words, &mut payload), Some(true));
        assert_eq!(payload, [number; PAYLOAD]);
    }
    assert_eq!(receiver.receive(SHAPE, &words, &mut payload), Some(true));
    assert_eq!(payload, [99; PAYLOAD]);
}

#[test]
fn a_changed_payload_is_told_by_its_checksum() {
    let (words, read) = page();
    let (mut sender, mut receiver) = (Sender::default(), Receiver::default());
    assert!(sender.send(SHAPE, &words, &read, &[5; PAYLOAD]));
    SHAPE.slot::<_, PAYLOAD>(&words, 0).unwrap().1[2].fetch_xor(1 << 40, Ordering::Relaxed);
    assert_eq!(receiver.receive(SHAPE, &words, &mut [0; PAYLOAD]), Some(false));
    assert!(sender.send(SHAPE, &words, &read, &[6; PAYLOAD]));
    assert_eq!(receiver.receive(SHAPE, &words, &mut [0; PAYLOAD]), Some(true));
}

#[test]
fn an_old_record_under_a_new_sequence_number_does_not_pass() {
    let (words, read) = page();
    let (mut sender, mut receiver) = (Sender::default(), Receiver::default());
    for _ in 0..SHAPE.slots() {
        assert!(sender.send(SHAPE, &words, &read, &[5; PAYLOAD]));
        assert_eq!(receiver.receive(SHAPE, &words, &mut [0; PAYLOAD]), Some(true));
    }
    // One bit turns the number of the slot's old record into the one that is due.
    let (head, []) = SHAPE.slot(&words, 0).unwrap();
    assert_eq!(low(head.fetch_xor(1 ^ 9, Ordering::Relaxed)), 1);
    assert_eq!(receiver.receive(SHAPE, &words, &mut [0; PAYLOAD]), Some(false));
}

#[test]
fn a_slow_receiver_reads_every_round_of_the_ring_in_order() {
    let (words, read) = page();
    let (mut sender, mut receiver) = (Sender::default(), Receiver::default());
    let mut payload = [0; PAYLOAD];
    let (mut sent, mut received) = (0, 0);
    // Bursts of every length, read in bursts of another: the two meet at every place of the ring.
    for round in 0..500 {
        for _ in 0..round % 11 {
            sent += u64::from(sender.send(SHAPE, &words, &read, &[sent; PAYLOAD]));
        }
        for _ in 0..round % 7 {
            match receiver.receive(SHAPE, &words, &mut payload) {
                Some(intact) => assert!(intact && payload == [received; PAYLOAD]),
                None => break,
            }
            received += 1;
        }
        receiver.publish(&read);
        assert_eq!(receiver.waiting(SHAPE, &words), sent - received);
        assert_eq!(sender.free(SHAPE, &read), SHAPE.slots() - (sent - received));
    }
    assert!(received > 20 * SHAPE.slots());
}

#[test]
fn an_index_that_cannot_be_is_not_taken() {
    let (words, read) = page();
    let mut sender = Sender::default();
    for number in 0..6 {
        assert!(sender.send(SHAPE, &words, &read, &[number; PAYLOAD]));
    }
    for lie in [7, 1 << 32, 1 << 63, u64::MAX, u64::MAX - 5] {
        read.store(lie, Ordering::Relaxed);
        assert_eq!(sender.free(SHAPE, &read), 2, "{lie} is ahead of what was sent");
    }
    read.store(4, Ordering::Relaxed);
    assert_eq!(sender.free(SHAPE, &read), 6);
    read.store(1, Ordering::Relaxed);
    assert_eq!(sender.free(SHAPE, &read), 6, "what was free stays free");
}

#[test]
fn the_sequence_on_the_page_may_wrap() {
    let (words, read) = page();
    let start = u64::from(u32::MAX) - 20;
    let place = SHAPE.place(start);
    let (mut sender, mut receiver) =
        (Sender { index: start, read: start, place }, Receiver { index: start, place });
    let mut payload = [0; PAYLOAD];
    for number in 0..40 {
        assert_eq!(receiver.receive(SHAPE, &words, &mut payload), None, "before {number}");
        assert!(sender.send(SHAPE, &words, &read, &[number; PAYLOAD]));
        assert_eq!(receiver.receive(SHAPE, &words, &mut payload), Some(true));
        assert_eq!(payload, [number; PAYLOAD]);
        receiver.publish(&read);
    }
}

#[test]
fn two_threads_lose_nothing() {
    const SENT: u64 = 100_000;
    let (words, read) = page();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut sender = Sender::default();
            for number in 0..SENT {
                while !sender.send(SHAPE, &words, &read, &[number; PAYLOAD]) {
                    std::thread::yield_now();
                }
            }
        });
        let mut receiver = Receiver::default();
        let mut payload = [0; PAYLOAD];
        for number in 0..SENT {
            let intact = loop {
                match receiver.receive(SHAPE, &words, &mut payload) {
                    Some(intact) => break intact,
                    None => std::thread::yield_now(),
                }
            };
            assert!(intact);
            assert_eq!(payload, [number; PAYLOAD]);
            receiver.publish(&read);
        }
    });
}

proptest! {
    /// Whatever stands on the page, the receiver takes at most what was asked for, waiting is at most
    /// the ring, and the sender never has more room than there is.
    #[test]
    fn nothing_on_the_page_breaks_either_side(
        hostile in prop::collection::vec(any::<u64>(), 8 * 16),
        reads in prop::collection::vec(any::<u64>(), 1..50),
        near in any::<bool>(),
    ) {
        let (words, read) = page();
        for (word, value) in words.iter().zip(&hostile) {
            word.store(if near { value & 15 } else { *value }, Ordering::Relaxed);
        }
        let mut receiver = Receiver::default();
        let mut taken = 0;
        while receiver.receive(SHAPE, &words, &mut [0; PAYLOAD]).is_some() {
            taken += 1;
        }
        prop_assert!(taken <= SHAPE.slots());
        prop_assert!(receiver.waiting(SHAPE, &words) <= SHAPE.slots());
        let (mut sender, mut sent) = (Sender::default(), 0);
        for claim in reads {
            read.store(if near { claim & 15 } else { claim }, Ordering::Relaxed);
            let free = sender.free(SHAPE, &read);
            prop_assert!(free <= SHAPE.slots());
            for _ in 0..free.min(3) {
                prop_assert!(sender.send(SHAPE, &words, &read, &[1; PAYLOAD]));
                sent += 1;
            }
            prop_assert_eq!(sender.sent(), sent);
        }
    }
}
