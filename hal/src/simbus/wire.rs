//! Datagrams between the simulated bus and its clients: fixed layout, little-endian, encoded and
//! decoded without allocating. Decoding is total: every byte string is a message or an error.
//!
//! Header, 8 bytes: magic u32 `MOSB`, version u16, type u8, zero. Then, by type:
//! - `Hello` 1: name length u8, filter count u8, name 32 bytes, filters 16 times {id u32, mask u32}
//! - `Send` 2: frame
//! - `Welcome` 16, nothing more; `Refused` 17: code u8
//! - `Received` 18: time u64 ns, echo u8, frame; `Dropped` 19: count u32
//!
//! A frame: id u32, kind u8, extended u8, length u8, then the payload's bytes.

use arrayvec::{ArrayString, ArrayVec};
use thiserror::Error;

use crate::bus::{FILTERS_MAX, Filter, NAME_MAX, Received};
use crate::frame::{DATA_MAX, Frame, FrameKind};

/// `MOSB`.
pub const MAGIC: u32 = u32::from_le_bytes(*b"MOSB");
/// Version of this layout. Another is refused on both sides.
pub const VERSION: u16 = 1;
/// Longest datagram, bytes.
pub const DATAGRAM_MAX: usize = 192;

const HELLO: u8 = 1;
const SEND: u8 = 2;
const WELCOME: u8 = 16;
const REFUSED: u8 = 17;
const RECEIVED: u8 = 18;
const DROPPED: u8 = 19;

const _: () = assert!(8 + 2 + NAME_MAX + 8 * FILTERS_MAX <= DATAGRAM_MAX);
const _: () = assert!(8 + 9 + 7 + DATA_MAX <= DATAGRAM_MAX);

/// What a client says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientMessage {
    /// The first datagram.
    Hello {
        /// Name for the log.
        name: ArrayString<NAME_MAX>,
        /// What it wants to receive; empty: everything.
        filters: ArrayVec<Filter, FILTERS_MAX>,
    },
    /// A frame to put on the wire.
    Send(Frame),
}

/// What the simulator says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimMessage {
    /// Answer to `Hello`: frames flow from now on.
    Welcome,
    /// Answer to `Hello`: no, and the socket is closed.
    Refused(Refusal),
    /// A frame was on the wire.
    Received(Received),
    /// So many frames did not fit into this client's queue.
    Dropped {
        /// How many since the last such message.
        count: u32,
    },
}

/// Why the simulator refuses a client. Numbers are fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Refusal {
    /// The client speaks another version.
    Version = 1,
    /// No room for a further client.
    Full = 2,
    /// The first datagram was no `Hello`.
    NoHello = 3,
    /// The client's user may not use this bus.
    User = 4,
}

/// Why a datagram is none of this protocol.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum WireError {
    /// It is shorter or longer than its type says.
    #[error("{len} bytes are too few or too many")]
    Length {
        /// Its length.
        len: usize,
    },
    /// It does not begin with `MOSB`.
    #[error("magic {0:#010x} instead of {MAGIC:#010x}")]
    Magic(u32),
    /// Another version.
    #[error("version {0} instead of {VERSION}: start the simulator and the daemon of one build")]
    Version(u16),
    /// An unknown type, or one of the other direction.
    #[error("message type {0} is unknown here")]
    Type(u8),
    /// A field has a value that it cannot have.
    #[error("field `{0}` has a value that it cannot have")]
    Field(&'static str),
}

impl ClientMessage {
    /// Writes the datagram; returns the part of `buffer` that holds it.
    pub fn encode<'b>(&self, buffer: &'b mut [u8; DATAGRAM_MAX]) -> &'b [u8] {
        let mut writer = Writer { buffer, at: 0 };
        match self {
            ClientMessage::Hello { name, filters } => {
                writer.header(HELLO);
                writer.put(&[u8::try_from(name.len()).unwrap_or(0)]);
                writer.put(&[u8::try_from(filters.len()).unwrap_or(0)]);
                let mut bytes = [0; NAME_MAX];
                for (to, from) in bytes.iter_mut().zip(name.bytes()) {
                    *to = from;
                }
                writer.put(&bytes);
                for filter in filters {
                    writer.put(&filter.id.to_le_bytes());
                    writer.put(&filter.mask.to_le_bytes());
                }
            }
            ClientMessage::Send(frame) => {
                writer.header(SEND);
                writer.frame(frame);
            }
        }
        writer.finish()
    }

    /// Reads a datagram that claims to come from a client.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(bytes: &[u8]) -> Result<ClientMessage, WireError> {
        let mut reader = Reader { rest: bytes, len: bytes.len() };
        let message = match reader.header()? {
            HELLO => {
                let name_len = usize::from(reader.byte()?);
                let count = usize::from(reader.byte()?);
                let name = reader.take::<NAME_MAX>()?;
                let name = name.get(..name_len).ok_or(WireError::Field("name length"))?;
                let name = std::str::from_utf8(name).map_err(|_| WireError::Field("name"))?;
                let name = ArrayString::from(name).map_err(|_| WireError::Field("name length"))?;
                let mut filters = ArrayVec::new();
                for _ in 0..count {
                    let filter = Filter { id: reader.word()?, mask: reader.word()? };
                    filters.try_push(filter).map_err(|_| WireError::Field("filter count"))?;
                }
                ClientMessage::Hello { name, filters }
            }
            SEND => ClientMessage::Send(reader.frame()?),
            other => return Err(WireError::Type(other)),
        };
        reader.end(message)
    }
}

impl SimMessage {
    /// Writes the datagram; returns the part of `buffer` that holds it.
    pub fn encode<'b>(&self, buffer: &'b mut [u8; DATAGRAM_MAX]) -> &'b [u8] {
        let mut writer = Writer { buffer, at: 0 };
        match self {
            SimMessage::Welcome => writer.header(WELCOME),
            SimMessage::Refused(refusal) => {
                writer.header(REFUSED);
                writer.put(&[*refusal as u8]);
            }
            SimMessage::Received(received) => {
                writer.header(RECEIVED);
                writer.put(&received.time_ns.to_le_bytes());
                writer.put(&[u8::from(received.echo)]);
                writer.frame(&received.frame);
            }
            SimMessage::Dropped { count } => {
                writer.header(DROPPED);
                writer.put(&count.to_le_bytes());
            }
        }
        writer.finish()
    }

    /// Reads a datagram that claims to come from the simulator.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(bytes: &[u8]) -> Result<SimMessage, WireError> {
        let mut reader = Reader { rest: bytes, len: bytes.len() };
        let message = match reader.header()? {
            WELCOME => SimMessage::Welcome,
            REFUSED => SimMessage::Refused(match reader.byte()? {
                1 => Refusal::Version,
                2 => Refusal::Full,
                3 => Refusal::NoHello,
                4 => Refusal::User,
                _ => return Err(WireError::Field("refusal")),
            }),
            RECEIVED => {
                let time_ns = u64::from_le_bytes(reader.take()?);
                let echo = reader.flag("echo")?;
                SimMessage::Received(Received { frame: reader.frame()?, time_ns, echo })
            }
            DROPPED => SimMessage::Dropped { count: reader.word()? },
            other => return Err(WireError::Type(other)),
        };
        reader.end(message)
    }
}

/// Appends to a buffer that is long enough for every message (asserted above).
struct Writer<'b> {
    buffer: &'b mut [u8; DATAGRAM_MAX],
    at: usize,
}

impl<'b> Writer<'b> {
    fn put(&mut self, bytes: &[u8]) {
        let end = self.at + bytes.len();
        if let Some(room) = self.buffer.get_mut(self.at..end) {
            room.copy_from_slice(bytes);
            self.at = end;
        }
    }

    fn header(&mut self, kind: u8) {
        self.put(&MAGIC.to_le_bytes());
        self.put(&VERSION.to_le_bytes());
        self.put(&[kind, 0]);
    }

    fn frame(&mut self, frame: &Frame) {
        let kind = match frame.kind() {
            FrameKind::Data => 0,
            FrameKind::Remote => 1,
            FrameKind::Fd => 2,
            FrameKind::Error => 3,
        };
        self.put(&frame.id().to_le_bytes());
        self.put(&[kind, u8::from(frame.is_extended())]);
        self.put(&[u8::try_from(frame.len()).unwrap_or(0)]);
        self.put(frame.data());
    }

    fn finish(self) -> &'b [u8] {
        self.buffer.get(..self.at).unwrap_or_default()
    }
}

/// Takes fields off the front; every read is checked.
struct Reader<'b> {
    rest: &'b [u8],
    len: usize,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (head, rest) =
            self.rest.split_first_chunk::<N>().ok_or(WireError::Length { len: self.len })?;
        self.rest = rest;
        Ok(*head)
    }

    fn byte(&mut self) -> Result<u8, WireError> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn word(&mut self) -> Result<u32, WireError> {
        self.take().map(u32::from_le_bytes)
    }

    fn flag(&mut self, name: &'static str) -> Result<bool, WireError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(WireError::Field(name)),
        }
    }

    fn header(&mut self) -> Result<u8, WireError> {
        let magic = self.word()?;
        if magic != MAGIC {
            return Err(WireError::Magic(magic));
        }
        let version = u16::from_le_bytes(self.take()?);
        if version != VERSION {
            return Err(WireError::Version(version));
        }
        let kind = self.byte()?;
        if self.byte()? != 0 {
            return Err(WireError::Field("reserved"));
        }
        Ok(kind)
    }

    fn frame(&mut self) -> Result<Frame, WireError> {
        let id = self.word()?;
        let kind = match self.byte()? {
            0 => FrameKind::Data,
            1 => FrameKind::Remote,
            2 => FrameKind::Fd,
            3 => FrameKind::Error,
            _ => return Err(WireError::Field("kind")),
        };
        let extended = self.flag("extended")?;
        let len = usize::from(self.byte()?);
        let zeros = [0; DATA_MAX];
        let data = if kind == FrameKind::Remote {
            zeros.get(..len).ok_or(WireError::Field("length"))?
        } else {
            let (data, rest) =
                self.rest.split_at_checked(len).ok_or(WireError::Length { len: self.len })?;
            self.rest = rest;
            data
        };
        Frame::build(id, kind, extended, data).map_err(|_| WireError::Field("frame"))
    }

    fn end<T>(self, message: T) -> Result<T, WireError> {
        if self.rest.is_empty() { Ok(message) } else { Err(WireError::Length { len: self.len }) }
    }
}
