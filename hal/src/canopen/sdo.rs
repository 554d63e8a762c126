//! An SDO client for expedited transfers (objects of 1, 2 or 4 bytes), one request at a time.
//! Request `600+node`, answer `580+node`, CiA 301.

use super::Object;
use crate::frame::Frame;

/// Base of the requests' COB-IDs.
pub const REQUEST_COB_ID_BASE: u16 = 0x600;
/// Base of the answers' COB-IDs.
pub const ANSWER_COB_ID_BASE: u16 = 0x580;

/// Size of an object's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 1 byte.
    One,
    /// 2 bytes.
    Two,
    /// 4 bytes.
    Four,
}

impl Size {
    /// Bits of a value of this size that count.
    pub fn mask(self) -> u32 {
        match self {
            Size::One => 0xFF,
            Size::Two => 0xFFFF,
            Size::Four => 0xFFFF_FFFF,
        }
    }

    /// Command of an expedited write of this size.
    fn write_command(self) -> u8 {
        match self {
            Size::One => 0x2F,
            Size::Two => 0x2B,
            Size::Four => 0x23,
        }
    }

    /// Command of an expedited answer to a read of this size.
    fn read_answer(self) -> u8 {
        match self {
            Size::One => 0x4F,
            Size::Two => 0x4B,
            Size::Four => 0x43,
        }
    }
}

/// What is asked of the drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Read an object of this size.
    Read(Object, Size),
    /// Write a value (its low bytes) to an object of this size.
    Write(Object, Size, u32),
}

impl Request {
    /// The object asked for.
    pub fn object(&self) -> Object {
        match *self {
            Request::Read(object, _) | Request::Write(object, ..) => object,
        }
    }

    /// The request's frame to `node`.
    pub fn frame(&self, node: u8) -> Frame {
        let (command, value) = match *self {
            Request::Read(..) => (0x40, 0),
            Request::Write(_, size, value) => (size.write_command(), value & size.mask()),
        };
        let Object { index, sub } = self.object();
        let [low, high] = index.to_le_bytes();
        let [a, b, c, d] = value.to_le_bytes();
        let id = REQUEST_COB_ID_BASE + u16::from(node & 0x7F);
        Frame::fixed(id, [command, low, high, sub, a, b, c, d])
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Written, or read: the value, 0 for a write.
    Done(u32),
    /// The drive refused with this abort code.
    Aborted(u32),
    /// An answer that does not belong to the request, or has another size.
    WrongAnswer {
        /// Command byte.
        command: u8,
        /// Object named in the answer.
        object: Object,
    },
    /// No answer in time.
    TimedOut,
}

/// The client's end of the channel to one drive.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    node: u8,
    timeout_ns: u64,
    pending: Option<(Request, u64)>,
    outcome: Option<Outcome>,
    /// Object of a request that was given up: its answer may still come, and is let pass once.
    late: Option<Object>,
}

impl Client {
    /// A client with nothing outstanding.
    pub fn new(node: u8, timeout_ns: u64) -> Client {
        Client { node, timeout_ns, pending: None, outcome: None, late: None }
    }

    /// Whether a request waits for its answer.
    pub fn is_busy(&self) -> bool {
        self.pending.is_some()
    }

    /// Begins a request and gives the frame to send; an outstanding one is forgotten.
    pub fn begin(&mut self, request: Request, now_ns: u64) -> Frame {
        self.give_up();
        self.pending = Some((request, now_ns));
        request.frame(self.node)
    }

    /// Gives up what is outstanding; its answer is let pass if it comes.
    pub fn give_up(&mut self) {
        if let Some((request, _)) = self.pending.take() {
            self.late = Some(request.object());
        }
        self.outcome = None;
    }

    /// Forgets everything: the drive has restarted and will not answer what it was asked before.
    pub fn reset(&mut self) {
        self.pending = None;
        self.outcome = None;
        self.late = None;
    }

    /// Takes in a frame; anything but an answer of this node is passed over.
    pub fn on_frame(&mut self, frame: &Frame) {
        let Some((id, data)) = frame.standard_data() else { return };
        if id != ANSWER_COB_ID_BASE + u16::from(self.node) {
            return;
        }
        let &[command, low, high, sub, a, b, c, d] = data else { return };
        let object = Object { index: u16::from_le_bytes([low, high]), sub };
        let Some((request, _)) = self.pending else { return };
        if object != request.object() && self.late == Some(object) {
            self.late = None;
            return;
        }
        let value = u32::from_le_bytes([a, b, c, d]);
        let outcome = answer(request, command, object, value);
        if matches!(outcome, Outcome::WrongAnswer { .. }) {
            self.late = Some(request.object());
        }
        self.pending = None;
        self.outcome = Some(outcome);
    }

    /// The end of the outstanding request, once.
    pub fn poll(&mut self, now_ns: u64) -> Option<Outcome> {
        if let Some((request, since_ns)) = self.pending
            && now_ns.saturating_sub(since_ns) > self.timeout_ns
        {
            self.pending = None;
            self.late = Some(request.object());
            return Some(Outcome::TimedOut);
        }
        self.outcome.take()
    }
}

fn answer(request: Request, command: u8, object: Object, value: u32) -> Outcome {
    if object != request.object() {
        return Outcome::WrongAnswer { command, object };
    }
    match (request, command) {
        (_, 0x80) => Outcome::Aborted(value),
        (Request::Write(..), 0x60) => Outcome::Done(0),
        // Expedited without a size given: the object's own size is taken.
        (Request::Read(_, size), 0x42) => Outcome::Done(value & size.mask()),
        (Request::Read(_, size), command) if command == size.read_answer() => {
            Outcome::Done(value & size.mask())
        }
        _ => Outcome::WrongAnswer { command, object },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODE: Object = Object::new(0x6060, 0);
    const IDENTITY: Object = Object::new(0x1018, 1);

    fn reply(node: u16, data: [u8; 8]) -> Frame {
        Frame::new(0x580 + node, &data).unwrap()
    }

    #[test]
    fn requests_have_the_bytes_of_cia_301() {
        let read = Request::Read(IDENTITY, Size::Four).frame(3);
        assert_eq!((read.id(), read.data()), (0x603, &[0x40, 0x18, 0x10, 1, 0, 0, 0, 0][..]));
        let one = Request::Write(MODE, Size::One, 8).frame(3);
        assert_eq!(one.data(), [0x2F, 0x60, 0x60, 0, 8, 0, 0, 0]);
        let two = Request::Write(Object::new(0x1017, 0), Size::Two, 500).frame(3);
        assert_eq!(two.data(), [0x2B, 0x17, 0x10, 0, 0xF4, 0x01, 0, 0]);
        let four = Request::Write(Object::new(0x1400, 1), Size::Four, 0x8000_0203).frame(3);
        assert_eq!(four.data(), [0x23, 0x00, 0x14, 1, 0x03, 0x02, 0, 0x80]);
    }

    #[test]
    fn answers_end_the_request() {
        let mut client = Client::new(3, 1_000);
        client.begin(Request::Read(IDENTITY, Size::Four), 0);
        client.on_frame(&reply(4, [0x43, 0x18, 0x10, 1, 1, 0, 0, 0]));
        assert!(client.is_busy(), "another node's answer");
        client.on_frame(&reply(3, [0x43, 0x18, 0x10, 1, 0x78, 0x56, 0x34, 0x12]));
        assert_eq!(client.poll(1), Some(Outcome::Done(0x1234_5678)));
        assert_eq!(client.poll(1), None);
        client.begin(Request::Write(MODE, Size::One, 8), 0);
        client.on_frame(&reply(3, [0x60, 0x60, 0x60, 0, 0, 0, 0, 0]));
        assert_eq!(client.poll(1), Some(Outcome::Done(0)));
        client.begin(Request::Write(MODE, Size::One, 8), 0);
        client.on_frame(&reply(3, [0x80, 0x60, 0x60, 0, 0x30, 0x00, 0x09, 0x06]));
        assert_eq!(client.poll(1), Some(Outcome::Aborted(0x0609_0030)));
    }

    #[test]
    fn answers_of_another_object_or_size_are_wrong() {
        for data in [
            [0x43, 0x18, 0x10, 2, 0, 0, 0, 0],
            [0x4B, 0x18, 0x10, 1, 0, 0, 0, 0],
            [0x41, 0x18, 0x10, 1, 9, 0, 0, 0],
            [0x60, 0x18, 0x10, 1, 0, 0, 0, 0],
        ] {
            let mut client = Client::new(3, 1_000);
            client.begin(Request::Read(IDENTITY, Size::Four), 0);
            client.on_frame(&reply(3, data));
            assert!(matches!(client.poll(1), Some(Outcome::WrongAnswer { .. })), "{data:02X?}");
        }
    }

    #[test]
    fn time_runs_out_and_the_late_answer_is_let_pass_once() {
        let mut client = Client::new(3, 1_000);
        client.begin(Request::Read(IDENTITY, Size::Four), 0);
        assert_eq!(client.poll(1_000), None);
        assert_eq!(client.poll(1_001), Some(Outcome::TimedOut));
        client.begin(Request::Read(MODE, Size::One), 1_001);
        let late = reply(3, [0x43, 0x18, 0x10, 1, 0, 0, 0, 0]);
        client.on_frame(&late);
        assert!(client.is_busy());
        client.on_frame(&late);
        assert!(matches!(client.poll(1_002), Some(Outcome::WrongAnswer { .. })));
    }

    #[test]
    fn the_true_answer_after_a_wrong_one_or_a_request_given_up_is_let_pass() {
        let true_answer = reply(3, [0x43, 0x18, 0x10, 1, 0, 0, 0, 0]);
        for is_wrong_first in [true, false] {
            let mut client = Client::new(3, 1_000);
            client.begin(Request::Read(IDENTITY, Size::Four), 0);
            if is_wrong_first {
                client.on_frame(&reply(3, [0x60, 0x00, 0x20, 0, 0, 0, 0, 0]));
                assert!(matches!(client.poll(1), Some(Outcome::WrongAnswer { .. })));
            } else {
                client.give_up();
            }
            client.begin(Request::Read(MODE, Size::One), 2);
            client.on_frame(&true_answer);
            assert!(client.is_busy());
            client.on_frame(&reply(3, [0x4F, 0x60, 0x60, 0, 8, 0, 0, 0]));
            assert_eq!(client.poll(3), Some(Outcome::Done(8)));
        }
    }
}
