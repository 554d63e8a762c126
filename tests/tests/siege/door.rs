//! At the door: handshakes of every wrong kind, one after the other.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use shm_protocol::layout::{LAYOUT_HASH, MAGIC, VERSION};

use crate::besieger::Deeds;
use crate::hand::{BUSY, GO, HELLO, Heard, MAPPED, PAGES, REFUSED, Visit, message};
use crate::random::Random;
use crate::tamper;

/// The daemon gives a handshake two seconds; once in so many visits one takes longer.
const LATE_ONCE_IN: u64 = 2_000;
const LATE: Duration = Duration::from_millis(2_100);
/// Descriptors that one message may carry, at the most.
const DESCRIPTORS_MAX: u64 = 253;
/// Kinds of visit.
const KINDS: u64 = 11;

/// Visits until then. `taken`: another planner is connected, and every visit is turned away.
pub fn stand(path: &Path, taken: bool, until: Instant, random: &mut Random) -> Deeds {
    let mut deeds = Deeds::default();
    let file = File::open("/proc/self/exe").expect("this program");
    while Instant::now() < until {
        deeds.visits += 1;
        let visit = Visit::connect(path).expect("somebody serves the socket");
        if taken {
            // Whatever it says and brings, it hears the same.
            let _ = wrong(&visit, &file, random);
            turned_away(&visit.hear(), &mut deeds);
        } else {
            knock(&visit, path, &file, random, &mut deeds);
        }
    }
    deeds
}

/// That this visit was turned away because another planner is connected: by word, or by the end where
/// the word was lost to what had not been read.
fn turned_away(heard: &Heard, deeds: &mut Deeds) {
    assert!(heard.words.is_none_or(|words| (words[3], words[4]) == (REFUSED, BUSY)));
    assert!(heard.descriptors.is_empty());
    deeds.turned_away += 1;
}

/// Says something that is wrong.
fn wrong(visit: &Visit, file: &File, random: &mut Random) -> nix::Result<()> {
    match random.below(7) {
        0 => visit.say(std::array::from_fn(|_| random.word())),
        1 => visit.say([MAGIC, VERSION + 1 + random.below(9), LAYOUT_HASH, HELLO, 1, 0, 0, 0]),
        2 => visit.say([MAGIC, VERSION, random.word(), HELLO, 1, 0, 0, 0]),
        // Another socket's service, and none.
        3 => visit.say(message(HELLO, random.below(9) + 2)),
        4 => visit.say(message(random.below(12) + 2, random.word())),
        5 => {
            let bytes: Vec<u8> = (0..random.below(300)).map(|_| random.word() as u8).collect();
            visit.say_bytes(&bytes, &[])
        }
        _ => {
            let count = 1 + random.below(DESCRIPTORS_MAX) as usize;
            let descriptors: Vec<BorrowedFd<'_>> = vec![file.as_fd(); count];
            visit.say_bytes(&[0; 64], &descriptors)
        }
    }
}

/// One visit while nobody is connected.
fn knock(visit: &Visit, path: &Path, file: &File, random: &mut Random, deeds: &mut Deeds) {
    match random.below(KINDS) {
        // Gone at once; gone after the first word.
        0 => {}
        1 => drop(visit.say(message(HELLO, 1))),
        // It says nothing for a while.
        2 => {
            let late = random.once_in(LATE_ONCE_IN / KINDS);
            std::thread::sleep(if late { LATE } else { Duration::from_millis(random.below(20)) });
        }
        // Wrong from the start.
        3..=6 => {
            let _ = wrong(visit, file, random);
            let heard = visit.hear();
            assert!(heard.words.is_none_or(|words| words[3] == REFUSED), "{:?}", heard.words);
            deeds.turned_away += 1;
        }
        // Wrong once it has the pages.
        7 => {
            if visit.pages().is_ok() {
                let _ = wrong(visit, file, random);
            }
        }
        // It keeps the pages from being closed.
        8 => {
            if let Ok(descriptors) = visit.pages() {
                deeds.calls += tamper::open(&descriptors[0]);
                tamper::seal_it_shut(&descriptors[0]);
                assert!(!visit.go(), "let in with a page that is not closed");
                deeds.turned_away += 1;
            }
        }
        // In, and again.
        9 => {
            if visit.pages().is_ok() && visit.go() {
                let again = Visit::connect(path).expect("somebody serves the socket");
                let _ = again.say(message(HELLO, 1));
                turned_away(&again.hear(), deeds);
            }
        }
        // In without a mapping, and a word too many.
        _ => {
            if visit.pages().is_ok() && visit.go() {
                let _ = visit.say(message(random.one_of(&[PAGES, MAPPED, GO]), random.word()));
            }
        }
    }
}
