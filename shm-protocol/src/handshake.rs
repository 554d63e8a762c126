//! The messages of the handshakes: eight words, of which the first four mean the same in every
//! version: magic, version, layout hash, kind. A refusal means the same in every version, too.

use crate::error::Refusal;
use crate::layout::{LAYOUT_HASH, MAGIC, VERSION};

/// Words of a message.
pub(crate) const MESSAGE_WORDS: usize = 8;
/// The words of a message.
pub(crate) type Words = [u64; MESSAGE_WORDS];

/// Kind of a refusal, in every version.
const REFUSED: u64 = 3;

/// What a socket offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Service {
    /// mechos-rt to a planner.
    Link = 1,
    /// The guardian to mechos-rt.
    Guardian = 2,
}

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// From whoever connected: "I speak this protocol and want this service." mechos-rt brings the
    /// guardian's two pages, of this generation, with it.
    Hello(Service, u32),
    /// To a planner: "here are your two pages", of this generation.
    Pages(u32),
    /// "No", and why.
    Refused(Refusal),
    /// From a planner: "I have mapped both."
    Mapped,
    /// From mechos-rt: "the pages are sealed; begin."
    Go,
    /// From the guardian: "I have mapped both", and what it has latched: cause and time, ns.
    Welcome(u64, u64),
    /// To the guardian: an operator's reset was taken, lower the fence that was latched at this
    /// time, ns; a newer one stays up.
    Reset(u64),
    /// To the guardian: an orderly end.
    Goodbye,
}

impl Message {
    /// As words.
    pub(crate) fn encode(self) -> Words {
        let (kind, [first, second, third]) = match self {
            Message::Hello(service, generation) => (1, [service as u64, u64::from(generation), 0]),
            Message::Pages(generation) => (2, [u64::from(generation), 0, 0]),
            Message::Refused(refusal) => (REFUSED, refusal.to_words()),
            Message::Mapped => (4, [0; 3]),
            Message::Go => (5, [0; 3]),
            Message::Welcome(cause, since_ns) => (6, [cause, since_ns, 0]),
            Message::Reset(since_ns) => (7, [since_ns, 0, 0]),
            Message::Goodbye => (8, [0; 3]),
        };
        [MAGIC, VERSION, LAYOUT_HASH, kind, first, second, third, 0]
    }

    /// Reads a message.
    ///
    /// # Errors
    /// What to refuse its sender with.
    pub(crate) fn decode(words: &Words) -> Result<Message, Refusal> {
        let [magic, version, layout, kind, first, second, third, _] = *words;
        if magic != MAGIC {
            return Err(Refusal::Malformed);
        }
        // Before the version, so that both sides learn why.
        if kind == REFUSED {
            return Ok(Message::Refused(Refusal::from_words([first, second, third])));
        }
        if version != VERSION {
            return Err(Refusal::Version { found: version, allowed: VERSION });
        }
        if layout != LAYOUT_HASH {
            return Err(Refusal::Layout { found: layout, allowed: LAYOUT_HASH });
        }
        let generation = |word| u32::try_from(word).map_err(|_| Refusal::Malformed);
        match kind {
            1 => {
                let service = match first {
                    1 => Service::Link,
                    2 => Service::Guardian,
                    _ => return Err(Refusal::Service),
                };
                Ok(Message::Hello(service, generation(second)?))
            }
            2 => Ok(Message::Pages(generation(first)?)),
            4 => Ok(Message::Mapped),
            5 => Ok(Message::Go),
            6 => Ok(Message::Welcome(first, second)),
            7 => Ok(Message::Reset(first)),
            8 => Ok(Message::Goodbye),
            _ => Err(Refusal::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_message_is_read_back() {
        let messages = [
            Message::Hello(Service::Link, 0),
            Message::Hello(Service::Guardian, u32::MAX),
            Message::Pages(7),
            Message::Refused(Refusal::Busy),
            Message::Refused(Refusal::User { found: 1000, allowed: 0 }),
            Message::Mapped,
            Message::Go,
            Message::Welcome(17, u64::MAX),
            Message::Reset(11),
            Message::Goodbye,
        ];
        for message in messages {
            assert_eq!(Message::decode(&message.encode()), Ok(message));
        }
    }

    #[test]
    fn every_refusal_is_read_back() {
        for refusal in [
            Refusal::Malformed,
            Refusal::Version { found: 2, allowed: 1 },
            Refusal::Layout { found: 3, allowed: 4 },
            Refusal::User { found: 5, allowed: 6 },
            Refusal::Busy,
            Refusal::Pages,
            Refusal::Service,
        ] {
            assert_eq!(Refusal::from_words(refusal.to_words()), refusal);
        }
    }

    #[test]
    fn another_version_or_layout_is_named_with_both_numbers() {
        let mut words = Message::Go.encode();
        words[1] = 9;
        assert_eq!(Message::decode(&words), Err(Refusal::Version { found: 9, allowed: VERSION }));
        let mut words = Message::Go.encode();
        words[2] = 5;
        assert_eq!(
            Message::decode(&words),
            Err(Refusal::Layout { found: 5, allowed: LAYOUT_HASH })
        );
        assert_eq!(Message::decode(&[0; MESSAGE_WORDS]), Err(Refusal::Malformed));
    }

    #[test]
    fn a_refusal_is_understood_whatever_the_version() {
        let refusal = Refusal::Version { found: 1, allowed: 9 };
        let mut words = Message::Refused(refusal).encode();
        (words[1], words[2]) = (9, 99);
        assert_eq!(Message::decode(&words), Ok(Message::Refused(refusal)));
    }

    proptest! {
        #[test]
        fn decoding_is_total(words: Words, close: bool, kind in 0u64..12) {
            let mut words = words;
            if close {
                words[..3].copy_from_slice(&Message::Go.encode()[..3]);
                words[3] = kind;
            }
            let _ = Message::decode(&words);
        }
    }
}
