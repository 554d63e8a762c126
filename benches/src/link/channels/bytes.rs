//! The kernel's ways, blocking, as they are commonly used: a Unix socket (SEQPACKET), a pipe.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::unistd::{read, write};

use super::LINE;
use crate::failure::Failure;
use crate::link::exchange::Channel;

const BYTES: usize = 8 * LINE;

/// One end: 64 bytes a message.
#[derive(Debug)]
pub struct Bytes {
    out: OwnedFd,
    inward: OwnedFd,
}

impl Bytes {
    /// Two pipes' ends, or one socket twice.
    #[must_use]
    pub fn new(out: OwnedFd, inward: OwnedFd) -> Self {
        Bytes { out, inward }
    }
}

impl Channel for Bytes {
    type Record = [u64; LINE];

    fn send(&mut self, record: &[u64; LINE]) -> Result<bool, Failure> {
        let mut bytes = [0; BYTES];
        for (eight, word) in bytes.chunks_exact_mut(8).zip(record) {
            eight.copy_from_slice(&word.to_le_bytes());
        }
        match write(&self.out, &bytes) {
            Ok(BYTES) => Ok(true),
            // Fewer bytes than a pipe takes in one piece, or a message: all or nothing.
            Ok(_) => Err(Failure::Disagreement("part of a message was sent")),
            Err(Errno::EPIPE) => Err(Failure::Gone),
            Err(errno) => Err(Failure::Os { call: "write", errno }),
        }
    }

    fn receive(&mut self, record: &mut [u64; LINE]) -> Result<bool, Failure> {
        let mut bytes = [0; BYTES];
        match read(&self.inward, &mut bytes) {
            Ok(BYTES) => {}
            Ok(0) => return Err(Failure::Gone),
            Ok(_) => return Err(Failure::Disagreement("part of a message was received")),
            Err(errno) => return Err(Failure::Os { call: "read", errno }),
        }
        for (word, eight) in record.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = eight.try_into().map_or(0, u64::from_le_bytes);
        }
        Ok(true)
    }
}
