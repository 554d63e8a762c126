//! Connections to `sim.sock`: bounded lines in, one reply each, never waiting.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use crate::control::{LINE_MAX, Reply, Request};

/// One connection.
pub struct Connection {
    stream: UnixStream,
    waiting: Vec<u8>,
}

impl Connection {
    /// A fresh connection that never blocks.
    pub fn new(stream: UnixStream) -> Self {
        Self { stream, waiting: Vec::new() }
    }

    /// Reads what is there and answers each whole line; false once the connection is over.
    pub fn serve(&mut self, mut carry_out: impl FnMut(&Request) -> Reply) -> bool {
        let mut chunk = [0; 4096];
        match self.stream.read(&mut chunk) {
            Ok(0) => return false,
            Ok(len) => self.waiting.extend_from_slice(chunk.get(..len).unwrap_or_default()),
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
        while let Some(end) = self.waiting.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.waiting.drain(..=end).collect();
            let reply = match serde_json::from_slice::<Request>(&line) {
                Ok(request) => carry_out(&request),
                Err(error) => Reply {
                    error: Some(format!(
                        "{error}; allowed are silence, blind, drop-frames, trip, priority and status, \
                         as in {{\"status\":{{}}}}"
                    )),
                    ..Reply::default()
                },
            };
            if !self.send(&reply) {
                return false;
            }
        }
        self.waiting.len() < LINE_MAX
    }

    /// A peer that does not read its answers is cut off.
    fn send(&mut self, reply: &Reply) -> bool {
        let Ok(mut text) = serde_json::to_vec(reply) else { return false };
        text.push(b'\n');
        matches!(self.stream.write(&text), Ok(len) if len == text.len())
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
