//! Lines with a bound: what a peer sends without a line end never grows our memory.

use std::io::{self, ErrorKind, Read};

use serde::Serialize;

/// Longest line in either direction, bytes, its line end included.
pub const LINE_MAX: usize = 64 * 1024;

/// Collects bytes of one connection into lines. Its buffer is made once and never grows.
#[derive(Debug)]
pub struct LineReader {
    buffer: Box<[u8]>,
    begin: usize,
    end: usize,
}

/// What one read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// So many bytes.
    Bytes(usize),
    /// Nothing now: a non-blocking source has no more, or a time-out passed.
    Nothing,
    /// The peer has closed.
    End,
}

/// Why a connection's lines cannot be read any further; close it.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// A line longer than the bound.
    #[error("a line is longer than {LINE_MAX} bytes; send one JSON object a line")]
    TooLong,
    /// Bytes that are no text.
    #[error("a line is not UTF-8; send one JSON object a line")]
    NotUtf8,
    /// The value could not be written as JSON.
    #[error("cannot write the line as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The source failed.
    #[error("cannot read the connection: {0}")]
    Io(#[from] io::Error),
}

impl Default for LineReader {
    fn default() -> LineReader {
        LineReader::new()
    }
}

impl LineReader {
    /// An empty reader.
    pub fn new() -> LineReader {
        LineReader { buffer: vec![0; LINE_MAX].into_boxed_slice(), begin: 0, end: 0 }
    }

    /// Reads once from `source`. Take every line with [`LineReader::line`] before the next call.
    ///
    /// # Errors
    /// [`LineError::TooLong`] when the buffer holds [`LINE_MAX`] bytes without a line end;
    /// [`LineError::Io`] for anything but "nothing now" and an interruption.
    pub fn fill(&mut self, source: &mut impl Read) -> Result<Filled, LineError> {
        self.buffer.copy_within(self.begin..self.end, 0);
        self.end -= self.begin;
        self.begin = 0;
        let Some(room) = self.buffer.get_mut(self.end..).filter(|room| !room.is_empty()) else {
            return Err(LineError::TooLong);
        };
        match source.read(room) {
            Ok(0) => Ok(Filled::End),
            Ok(count) => {
                self.end += count;
                Ok(Filled::Bytes(count))
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {
                    Ok(Filled::Nothing)
                }
                _ => Err(error.into()),
            },
        }
    }

    /// The next whole line, without its line end.
    ///
    /// # Errors
    /// [`LineError::NotUtf8`].
    pub fn line(&mut self) -> Result<Option<&str>, LineError> {
        let held = self.buffer.get(self.begin..self.end).unwrap_or_default();
        let Some(length) = held.iter().position(|byte| *byte == b'\n') else {
            return Ok(None);
        };
        self.begin += length + 1;
        let line = held.get(..length).unwrap_or_default();
        std::str::from_utf8(line).map(Some).map_err(|_| LineError::NotUtf8)
    }
}

/// One value as a line, its line end included.
///
/// # Errors
/// [`LineError::TooLong`] where the peer's reader would refuse it; [`LineError::Json`].
pub fn encode_line(value: &impl Serialize) -> Result<Vec<u8>, LineError> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    if line.len() > LINE_MAX { Err(LineError::TooLong) } else { Ok(line) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes in pieces of a fixed size.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(into.len());
            into[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn lines(bytes: &[u8], piece: usize) -> Vec<String> {
        let (mut reader, mut source, mut found) = (LineReader::new(), Pieces(bytes, piece), vec![]);
        while reader.fill(&mut source).unwrap() != Filled::End {
            while let Some(line) = reader.line().unwrap() {
                found.push(line.to_owned());
            }
        }
        found
    }

    #[test]
    fn lines_come_out_whole_however_they_arrive() {
        for piece in [1, 2, 3, 100] {
            assert_eq!(lines(b"one\n\ntwo\nrest", piece), ["one", "", "two"], "{piece}");
        }
    }

    #[test]
    fn the_longest_line_passes_and_a_longer_one_is_refused() {
        let mut longest = vec![b'x'; LINE_MAX - 1];
        longest.push(b'\n');
        assert_eq!(lines(&longest, 1000).len(), 1);

        let mut reader = LineReader::new();
        let endless = vec![b'x'; 2 * LINE_MAX];
        let mut source = Pieces(&endless, usize::MAX);
        assert_eq!(reader.fill(&mut source).unwrap(), Filled::Bytes(LINE_MAX));
        assert!(reader.line().unwrap().is_none());
        assert!(matches!(reader.fill(&mut source), Err(LineError::TooLong)));
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let mut reader = LineReader::new();
        reader.fill(&mut Pieces(b"\xff\n", 10)).unwrap();
        assert!(matches!(reader.line(), Err(LineError::NotUtf8)));
    }

    #[test]
    fn what_the_peer_would_refuse_is_not_sent() {
        assert_eq!(encode_line(&1).unwrap(), b"1\n");
        assert!(matches!(encode_line(&"x".repeat(LINE_MAX)), Err(LineError::TooLong)));
    }
}
