//! The words of the handshakes. Every message begins with magic, version and layout hash.

use crate::error::Refusal;
use crate::layout::{LAYOUT_HASH, MAGIC, VERSION};
use crate::socket::MESSAGE_WORDS;

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// "I speak this protocol." From whoever connected.
    Hello,
    /// "Here are your pages" (with descriptors), or "I have mapped yours". Carries two numbers:
    /// the generation, or the latched cause and its time.
    Welcome(u64, u64),
    /// "No", and why.
    Refused(Refusal),
    /// "I have mapped the pages."
    Mapped,
    /// "The pages are sealed; begin."
    Go,
    /// To the guardian: an operator's reset was taken, lower the fence.
    Reset,
    /// To the guardian: an orderly end with every drive without power.
    Goodbye,
}

impl Word {
    /// The message.
    pub fn encode(self) -> [u64; MESSAGE_WORDS] {
        let (kind, first, second) = match self {
            Word::Hello => (1, 0, 0),
            Word::Welcome(first, second) => (2, first, second),
            Word::Refused(refusal) => (3, u64::from(refusal as u32), 0),
            Word::Mapped => (4, 0, 0),
            Word::Go => (5, 0, 0),
            Word::Reset => (6, 0, 0),
            Word::Goodbye => (7, 0, 0),
        };
        [MAGIC, VERSION, LAYOUT_HASH, kind, first, second, 0, 0]
    }

    /// Reads a message.
    ///
    /// # Errors
    /// What to refuse its sender with. A refusal is read whatever its version, so that both sides
    /// learn why.
    pub fn decode(words: &[u64; MESSAGE_WORDS]) -> Result<Word, Refusal> {
        let [magic, version, layout, kind, first, second, ..] = *words;
        if magic != MAGIC {
            return Err(Refusal::Malformed);
        }
        if kind == 3 {
            return Ok(Word::Refused(Refusal::from_number(first)));
        }
        if version != VERSION {
            return Err(Refusal::Version);
        }
        if layout != LAYOUT_HASH {
            return Err(Refusal::Layout);
        }
        match kind {
            1 => Ok(Word::Hello),
            2 => Ok(Word::Welcome(first, second)),
            4 => Ok(Word::Mapped),
            5 => Ok(Word::Go),
            6 => Ok(Word::Reset),
            7 => Ok(Word::Goodbye),
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
        let words = [
            Word::Hello,
            Word::Welcome(7, 9),
            Word::Refused(Refusal::Busy),
            Word::Mapped,
            Word::Go,
            Word::Reset,
            Word::Goodbye,
        ];
        for word in words {
            assert_eq!(Word::decode(&word.encode()), Ok(word));
        }
    }

    #[test]
    fn another_version_or_layout_is_named() {
        let mut words = Word::Hello.encode();
        words[1] += 1;
        assert_eq!(Word::decode(&words), Err(Refusal::Version));
        let mut words = Word::Hello.encode();
        words[2] ^= 1;
        assert_eq!(Word::decode(&words), Err(Refusal::Layout));
        assert_eq!(Word::decode(&[0; MESSAGE_WORDS]), Err(Refusal::Malformed));
    }

    proptest! {
        #[test]
        fn decoding_is_total(words: [u64; MESSAGE_WORDS]) {
            let _ = Word::decode(&words);
            let mut words = words;
            words[..3].copy_from_slice(&Word::Hello.encode()[..3]);
            let _ = Word::decode(&words);
        }
    }
}
