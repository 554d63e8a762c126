//! What is measured, each with a number that the two processes agree on.

use std::fmt;

use super::exchange::Rounds;

/// A cell under a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// Read once after each publish: the lines are in the writer's cache.
    Fresh,
    /// Nobody writes.
    Quiet,
    /// A value a millisecond.
    Kilohertz,
    /// Values without a pause.
    FullSpeed,
}

/// Which cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The link's.
    Board,
    /// For comparison.
    Triple,
    /// For comparison.
    Seqlock,
}

/// One thing that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// The raw hand-over over two lines, R2.
    Raw,
    /// One way of the link's ring: 56 bytes.
    Ring56,
    /// 56 bytes in 64 slots instead of 256.
    Ring56Short,
    /// 248 bytes.
    Ring248,
    /// An intent, encoded and decoded.
    Intent,
    /// One way of iceoryx2: 64 bytes.
    Iceoryx64,
    /// 256 bytes.
    Iceoryx256,
    /// One way of a Unix socket, 64 bytes.
    Socket,
    /// One way of a pipe, 64 bytes.
    Pipe,
    /// Records a second: the link's ring, 56 bytes.
    RingRate,
    /// rtrb between threads, 56 bytes.
    RtrbRate,
    /// iceoryx2, 64 bytes.
    IceoryxRate,
    /// One look at a newest value.
    Value(Kind, Load),
}

/// All, in the order in which they are measured; what is compared stands together.
pub const ALL: [Item; 24] = [
    Item::Raw,
    Item::Ring56,
    Item::Iceoryx64,
    Item::Ring56Short,
    Item::Ring248,
    Item::Iceoryx256,
    Item::Intent,
    Item::Socket,
    Item::Pipe,
    Item::RtrbRate,
    Item::RingRate,
    Item::IceoryxRate,
    Item::Value(Kind::Board, Load::Fresh),
    Item::Value(Kind::Triple, Load::Fresh),
    Item::Value(Kind::Seqlock, Load::Fresh),
    Item::Value(Kind::Board, Load::Quiet),
    Item::Value(Kind::Triple, Load::Quiet),
    Item::Value(Kind::Seqlock, Load::Quiet),
    Item::Value(Kind::Board, Load::Kilohertz),
    Item::Value(Kind::Triple, Load::Kilohertz),
    Item::Value(Kind::Seqlock, Load::Kilohertz),
    Item::Value(Kind::Board, Load::FullSpeed),
    Item::Value(Kind::Triple, Load::FullSpeed),
    Item::Value(Kind::Seqlock, Load::FullSpeed),
];

impl Item {
    /// Its number.
    #[must_use]
    pub fn number(self) -> u64 {
        (0..).zip(ALL).find(|(_, item)| *item == self).map_or(u64::MAX, |(number, _)| number)
    }

    /// The item of this number.
    #[must_use]
    pub fn of(number: u64) -> Option<Item> {
        ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// How many records or looks in a measurement: so many that each takes a tenth of a second at
    /// the most, and that the 99.9th percentile has some beyond it.
    #[must_use]
    pub fn rounds(self) -> Rounds {
        match self {
            Item::Raw => Rounds { warm: 2_000, kept: 20_000 },
            Item::Ring56 | Item::Ring56Short | Item::Ring248 => {
                Rounds { warm: 5_000, kept: 100_000 }
            }
            Item::Intent | Item::Iceoryx64 | Item::Iceoryx256 => {
                Rounds { warm: 5_000, kept: 50_000 }
            }
            Item::Socket | Item::Pipe => Rounds { warm: 500, kept: 8_000 },
            Item::RingRate | Item::RtrbRate => Rounds { warm: 0, kept: 1_000_000 },
            Item::IceoryxRate => Rounds { warm: 0, kept: 200_000 },
            Item::Value(_, Load::Kilohertz) => Rounds { warm: 10, kept: 10_000 },
            Item::Value(..) => Rounds { warm: 500, kept: 20_000 },
        }
    }

    /// How many in a smoke run.
    #[must_use]
    pub fn smoke_rounds(self) -> Rounds {
        let Rounds { warm, kept } = self.rounds();
        let share = match self {
            // Two hand-overs between processes a record, by the kernel where they share a processor.
            Item::Socket | Item::Pipe => 40,
            _ => 100,
        };
        Rounds { warm: warm / share, kept: kept / share }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Item::Raw => "raw hand-over, two lines (R2)",
            Item::Ring56 => "ring, 56 B, checked",
            Item::Ring56Short => "ring, 56 B, checked, 64 slots",
            Item::Ring248 => "ring, 248 B, checked",
            Item::Intent => "ring, an intent, encoded and decoded",
            Item::Iceoryx64 => "iceoryx2, 64 B",
            Item::Iceoryx256 => "iceoryx2, 256 B",
            Item::Socket => "Unix socket (SEQPACKET), 64 B",
            Item::Pipe => "pipe, 64 B",
            Item::RingRate => "ring, 56 B, checked, records/s",
            Item::RtrbRate => "rtrb between threads, 56 B, records/s",
            Item::IceoryxRate => "iceoryx2, 64 B, records/s",
            Item::Value(kind, load) => {
                let kind = match kind {
                    Kind::Board => "board",
                    Kind::Triple => "triple buffer",
                    Kind::Seqlock => "seqlock",
                };
                let load = match load {
                    Load::Fresh => "read after a publish",
                    Load::Quiet => "read, quiet",
                    Load::Kilohertz => "read, writer at 1 kHz",
                    Load::FullSpeed => "read, writer at full speed",
                };
                return f.pad(&format!("{kind}, 256 B, {load}"));
            }
        };
        f.pad(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_has_a_number_of_its_own() {
        for item in ALL {
            assert_eq!(Item::of(item.number()), Some(item));
        }
        assert_eq!(Item::of(24), None);
    }
}
