//! The attacks on the pages: each is bursts of writes at full speed, short enough that the heart beats
//! and the arm moves in between.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use shm_protocol::layout::INTENTS;
use shm_protocol::records::{Intent, IntentKind};

use crate::besieger::Besieger;
use crate::tamper;

/// Words of a burst.
const WORDS: u64 = 4096;
/// Records of a burst.
const RECORDS: u64 = 64;
/// Places of the words that rightly stop the machine, on the intent page.
const STOP_WORDS: [usize; 2] = [256 / 8, 384 / 8];
/// A stop word is pressed once in so many bursts, each of which sleeps a millisecond.
const BURSTS_PER_PRESS: u64 = 400;
/// An intent of a flood is fresh and of this epoch once in so many: more would use up the rate that the
/// moves need.
const FRESH_ONCE_IN: u64 = 256;

/// What the hostile process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Attack {
    /// None: its heart beats, and the arm moves. What the others are measured by.
    Quiet,
    /// Anything, everywhere on its page.
    Scribble,
    /// Anything, everywhere but on the two stop words.
    ScribbleAround,
    /// Records torn, repeated, changed under the reader's hands.
    Torn,
    /// Indices and counts far away, backwards, around the ends of their range.
    Indices,
    /// Magic, version, layout, generation and kind of its page change.
    Header,
    /// Whole records as fast as they are taken, with nonsense in them.
    Flood,
    /// Not even a heartbeat.
    Silence,
    /// Truncation, holes, removed pages, further mappings and seals.
    Memory,
    /// The stop words, now and then.
    StopWords,
    /// Handshakes of every wrong kind, while nobody is connected.
    Door,
    /// The same while an honest planner is connected and moves the arm.
    DoorTaken,
}

impl Attack {
    /// All that are attacks.
    pub const ALL: [Attack; 11] = [
        Attack::Scribble,
        Attack::ScribbleAround,
        Attack::Torn,
        Attack::Indices,
        Attack::Header,
        Attack::Flood,
        Attack::Silence,
        Attack::Memory,
        Attack::StopWords,
        Attack::Door,
        Attack::DoorTaken,
    ];

    /// It never gets past the handshake.
    pub fn is_at_the_door(self) -> bool {
        matches!(self, Attack::Door | Attack::DoorTaken)
    }

    /// What the machine may rightly be halted by. Nothing: it stays armed, and the arm moves.
    pub fn halts_by(self) -> &'static [&'static str] {
        match self {
            // The heart's word is scribbled over too, which moves it.
            Attack::Scribble | Attack::StopWords => &["planner-stop", "planner-estop"],
            Attack::Silence => &["cognition-lost"],
            _ => &[],
        }
    }
}

impl Besieger {
    /// A few milliseconds of it at the most.
    pub fn burst(&mut self, attack: Attack) {
        if attack != Attack::Silence {
            self.beat();
        }
        match attack {
            Attack::Scribble => self.scribble(&[]),
            Attack::ScribbleAround => self.scribble(&STOP_WORDS),
            Attack::Torn => self.tear(),
            Attack::Indices => self.misplace(),
            Attack::Header => self.relabel(),
            Attack::Flood => self.flood(),
            Attack::Memory => {
                let [intent, telemetry] = &self.descriptors;
                self.deeds.calls += tamper::closed(intent) + tamper::closed(telemetry);
            }
            Attack::StopWords => {
                if self.random.once_in(BURSTS_PER_PRESS) {
                    self.press();
                }
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            Attack::Quiet | Attack::Silence | Attack::Door | Attack::DoorTaken => {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        }
    }

    fn put(&mut self, word: &AtomicU64, value: u64) {
        word.store(value, Ordering::Relaxed);
        self.deeds.words += 1;
    }

    fn scribble(&mut self, but: &[usize]) {
        let words = self.pages.words;
        for _ in 0..WORDS {
            let value = self.random.word();
            // Half of it close to what would be believed.
            let value = if value & 1 == 0 { value & 0x1ff } else { value };
            let index = self.random.below(words.len() as u64) as usize;
            if !but.contains(&index) {
                self.put(&words[index], value);
            }
            if value % 8 == 0 {
                // A record that seems to be there.
                let ahead = self.pages.due() + self.random.below(4);
                let sequence = (ahead + 1) & 0xffff_ffff;
                self.put(&self.pages.slot(ahead)[0], sequence | value << 32);
                self.deeds.records += 1;
            }
        }
    }

    /// An intent that is whole, and refused for its epoch.
    fn void(&mut self) -> Intent {
        Intent { epoch: 0, ..self.honest() }
    }

    fn tear(&mut self) {
        let intent = self.void();
        for _ in 0..RECORDS {
            let due = self.pages.due();
            let slot = self.pages.slot(due);
            let shape = self.random.below(4);
            match shape {
                // The words change while the first one says that they are there.
                0 => {
                    self.pages.write(due, &intent);
                    for word in &slot[1..] {
                        let value = self.random.word();
                        self.put(word, value);
                    }
                }
                // There before its words are.
                1 => {
                    self.pages.write(due.wrapping_sub(INTENTS.slots()), &intent);
                    let old = slot[0].load(Ordering::Relaxed);
                    self.put(&slot[0], (due + 1) & 0xffff_ffff | old >> 32 << 32);
                    self.pages.write(due, &intent);
                }
                // An old one again, under its old number and under the new one.
                2 => {
                    let old = due.wrapping_sub(1 + self.random.below(INTENTS.slots()));
                    let from = self.pages.slot(old);
                    for (to, from) in slot.iter().zip(from) {
                        self.put(to, from.load(Ordering::Relaxed));
                    }
                    let first = from[0].load(Ordering::Relaxed);
                    self.put(&slot[0], (due + 1) & 0xffff_ffff | first >> 32 << 32);
                }
                // Every slot is due.
                _ => {
                    for ahead in 0..INTENTS.slots() {
                        let value = (due + ahead + 1) & 0xffff_ffff | self.random.word() << 32;
                        self.put(&self.pages.slot(due + ahead)[0], value);
                    }
                }
            }
            self.deeds.records += 1;
        }
    }

    fn misplace(&mut self) {
        for _ in 0..WORDS {
            let due = self.pages.due();
            let sent = self.pages.telemetry.intents_read.word.load(Ordering::Relaxed);
            let far = [0, 1, 63, 64, 65, 255, 256, 257, 1 << 31, 1 << 32, 1 << 63, u64::MAX];
            let (by, from) = (self.random.one_of(&far), self.random.one_of(&[0, due, sent]));
            let value =
                if self.random.once_in(2) { from.wrapping_add(by) } else { from.wrapping_sub(by) };
            let page = self.pages.intent;
            let counts = [&page.verdicts_read, &page.submitted, &page.returned, &page.heartbeat];
            let count = self.random.one_of(&counts);
            self.put(&count.word, value);
            // As a sequence number, where another record is due.
            let ahead = due.wrapping_add(self.random.below(INTENTS.slots()));
            self.put(&self.pages.slot(ahead)[0], value);
        }
    }

    fn relabel(&mut self) {
        for _ in 0..WORDS {
            let index = self.random.below(16) as usize;
            let value = self.random.word();
            let value = if value & 1 == 0 { value & 7 } else { value };
            self.put(&self.pages.words[index], value);
        }
    }

    fn flood(&mut self) {
        let honest = self.honest();
        for _ in 0..RECORDS {
            let intent = self.nonsense(&honest);
            self.pages.write(self.pages.due(), &intent);
            let sent = self.pages.verdicts_sent();
            self.put(&self.pages.intent.verdicts_read.word, sent);
            self.deeds.records += 1;
        }
    }

    /// An intent with nonsense in one field or in all; never one that rightly stops the machine.
    fn nonsense(&mut self, honest: &Intent) -> Intent {
        self.number += 1;
        let mut intent = Intent { number: self.number, ..*honest };
        if !self.random.once_in(FRESH_ONCE_IN) {
            intent.epoch = self.random.word() as u32 & 0xff;
            intent.issued_ns = self.random.word();
            intent.lease_until_ns = self.random.word();
        }
        let doubles = [f64::NAN, f64::INFINITY, -1e300, 0.0, f64::from_bits(self.random.word())];
        let singles = [f32::NAN, f32::MAX, -1.0, 0.0, f32::from_bits(self.random.word() as u32)];
        for axis in &mut intent.axes {
            axis.position_rad = self.random.one_of(&doubles);
            axis.velocity_end_rad_s = self.random.one_of(&singles);
            axis.velocity_peak_rad_s = self.random.one_of(&singles);
            axis.acceleration_peak_rad_s2 = self.random.one_of(&singles);
            axis.jerk_peak_rad_s3 = self.random.one_of(&singles);
            axis.effort_max_nm = self.random.one_of(&singles);
        }
        match self.random.below(6) {
            0 => intent.version = self.random.word() as u16,
            1 => intent.kind = IntentKind::Unknown(5 + self.random.below(250) as u8),
            2 => intent.agent = self.random.word() as u16 | 2,
            3 => intent.number = self.random.below(self.number),
            4 => intent.axes_mask = self.random.word() as u32,
            _ => {}
        }
        intent
    }

    fn press(&mut self) {
        let page = self.pages.intent;
        let word = if self.random.once_in(2) { &page.stops } else { &page.estops };
        let value = self.random.word();
        self.put(&word.word, value);
        self.deeds.presses += 1;
    }
}
