//! The SDO server (CiA 301, 7.2.4): expedited and segmented transfers in both directions, aborts.
//! Block transfers are refused with an abort, as the standard allows.

use super::dictionary::{Bytes, Dictionary};
use super::objects::Abort;
use super::rules;

/// Longest value that can be written, bytes. No object is longer.
const WRITE_MAX: usize = 8;

/// Payload of a segment, bytes.
const SEGMENT: usize = 7;

/// The answer to a request, and what it changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Bytes for 580 + node.
    pub bytes: [u8; 8],
    /// The object that was written.
    pub wrote: Option<(u16, u8)>,
}

enum Transfer {
    Idle,
    Upload {
        index: u16,
        sub: u8,
        value: Bytes,
        sent: usize,
        toggle: bool,
    },
    Download {
        index: u16,
        sub: u8,
        value: [u8; WRITE_MAX],
        len: usize,
        announced: Option<usize>,
        toggle: bool,
    },
}

/// One SDO channel.
pub struct SdoServer {
    transfer: Transfer,
}

impl Default for SdoServer {
    fn default() -> Self {
        Self { transfer: Transfer::Idle }
    }
}

impl SdoServer {
    /// Answers one request; a client's abort gets no answer.
    pub fn answer(&mut self, request: &[u8], objects: &mut Dictionary) -> Option<Answer> {
        let &[command, low, high, sub, a, b, c, d] = request else { return None };
        let (index, data) = (u16::from_le_bytes([low, high]), [a, b, c, d]);
        let result = match command >> 5 {
            0 => self.download_segment(command, &[low, high, sub, a, b, c, d], objects),
            1 => self.initiate_download(command, index, sub, data, objects),
            2 => self.initiate_upload(index, sub, objects),
            3 => self.upload_segment(command),
            4 => {
                self.transfer = Transfer::Idle;
                return None;
            }
            _ => Err(((index, sub), Abort::COMMAND)),
        };
        Some(result.unwrap_or_else(|((index, sub), code)| {
            self.transfer = Transfer::Idle;
            Answer { bytes: frame(0x80, index, sub, code.0.to_le_bytes()), wrote: None }
        }))
    }

    fn initiate_download(
        &mut self,
        command: u8,
        index: u16,
        sub: u8,
        data: [u8; 4],
        objects: &mut Dictionary,
    ) -> Reply {
        let at = (index, sub);
        self.transfer = Transfer::Idle;
        let sized = command & 1 != 0;
        if command & 2 != 0 {
            let own = objects.entry(index, sub).map_err(|code| (at, code))?.kind.bytes().min(4);
            let len = if sized { 4 - usize::from((command >> 2) & 3) } else { own };
            write(objects, at, data.get(..len).unwrap_or_default())?;
            return Ok(Answer { bytes: frame(0x60, index, sub, [0; 4]), wrote: Some(at) });
        }
        let announced =
            sized.then(|| usize::try_from(u32::from_le_bytes(data)).unwrap_or(usize::MAX));
        if announced.is_some_and(|size| size > WRITE_MAX) {
            return Err((at, Abort::TOO_LONG));
        }
        objects.entry(index, sub).map_err(|code| (at, code))?;
        self.transfer = Transfer::Download {
            index,
            sub,
            value: [0; WRITE_MAX],
            len: 0,
            announced,
            toggle: false,
        };
        Ok(Answer { bytes: frame(0x60, index, sub, [0; 4]), wrote: None })
    }

    fn download_segment(
        &mut self,
        command: u8,
        payload: &[u8; SEGMENT],
        objects: &mut Dictionary,
    ) -> Reply {
        let Transfer::Download { index, sub, value, len, announced, toggle } = &mut self.transfer
        else {
            return Err(((0, 0), Abort::COMMAND));
        };
        let at = (*index, *sub);
        if (command & 0x10 != 0) != *toggle {
            return Err((at, Abort::TOGGLE));
        }
        let count = SEGMENT - usize::from((command >> 1) & 7);
        let Some(place) = value.get_mut(*len..*len + count) else {
            return Err((at, Abort::TOO_LONG));
        };
        for (to, from) in place.iter_mut().zip(payload) {
            *to = *from;
        }
        *len += count;
        let reply = 0x20 | if *toggle { 0x10 } else { 0 };
        *toggle = !*toggle;
        if command & 1 == 0 {
            return Ok(Answer { bytes: [reply, 0, 0, 0, 0, 0, 0, 0], wrote: None });
        }
        if announced.is_some_and(|size| size != *len) {
            return Err((at, Abort::LENGTH));
        }
        let (bytes, len) = (*value, *len);
        self.transfer = Transfer::Idle;
        write(objects, at, bytes.get(..len).unwrap_or_default())?;
        Ok(Answer { bytes: [reply, 0, 0, 0, 0, 0, 0, 0], wrote: Some(at) })
    }

    fn initiate_upload(&mut self, index: u16, sub: u8, objects: &Dictionary) -> Reply {
        self.transfer = Transfer::Idle;
        let value = objects.read(index, sub).map_err(|code| ((index, sub), code))?;
        let bytes = value.as_slice();
        if let Bytes::Number(all, len) = value {
            let unused = u8::try_from(4usize.saturating_sub(len)).unwrap_or(0);
            let &[a, b, c, d, ..] = &all;
            let mut data = [a, b, c, d];
            data.iter_mut().skip(len).for_each(|byte| *byte = 0);
            let bytes = frame(0x43 | unused << 2, index, sub, data);
            return Ok(Answer { bytes, wrote: None });
        }
        let size = u32::try_from(bytes.len()).unwrap_or(0);
        self.transfer = Transfer::Upload { index, sub, value, sent: 0, toggle: false };
        Ok(Answer { bytes: frame(0x41, index, sub, size.to_le_bytes()), wrote: None })
    }

    fn upload_segment(&mut self, command: u8) -> Reply {
        let Transfer::Upload { index, sub, value, sent, toggle } = &mut self.transfer else {
            return Err(((0, 0), Abort::COMMAND));
        };
        if (command & 0x10 != 0) != *toggle {
            return Err(((*index, *sub), Abort::TOGGLE));
        }
        let rest = value.as_slice().get(*sent..).unwrap_or_default();
        let count = rest.len().min(SEGMENT);
        let last = rest.len() <= SEGMENT;
        let unused = u8::try_from(SEGMENT - count).unwrap_or(0);
        let mut bytes = [0; 8];
        let head = if *toggle { 0x10 } else { 0 } | unused << 1 | u8::from(last);
        for (to, from) in bytes.iter_mut().zip(std::iter::once(&head).chain(rest)) {
            *to = *from;
        }
        *sent += count;
        *toggle = !*toggle;
        if last {
            self.transfer = Transfer::Idle;
        }
        Ok(Answer { bytes, wrote: None })
    }
}

type Reply = Result<Answer, ((u16, u8), Abort)>;

fn write(objects: &mut Dictionary, at: (u16, u8), bytes: &[u8]) -> Result<(), ((u16, u8), Abort)> {
    let (index, sub) = at;
    let value = objects.decode(index, sub, bytes).map_err(|code| (at, code))?;
    rules::check(objects, index, sub, value).map_err(|code| (at, code))?;
    objects.set(index, sub, value);
    Ok(())
}

fn frame(command: u8, index: u16, sub: u8, data: [u8; 4]) -> [u8; 8] {
    let ([low, high], [a, b, c, d]) = (index.to_le_bytes(), data);
    [command, low, high, sub, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::DriveSpec;

    struct Bench(SdoServer, Dictionary);

    impl Bench {
        fn new() -> Self {
            Self(SdoServer::default(), Dictionary::new(&DriveSpec::example(1)))
        }
        fn ask(&mut self, request: [u8; 8]) -> [u8; 8] {
            self.0.answer(&request, &mut self.1).unwrap().bytes
        }
    }

    #[test]
    fn expedited_write_and_read_of_each_length() {
        let mut b = Bench::new();
        assert_eq!(b.ask([0x2f, 0x60, 0x60, 0, 8, 0, 0, 0]), [0x60, 0x60, 0x60, 0, 0, 0, 0, 0]);
        assert_eq!(b.ask([0x40, 0x60, 0x60, 0, 0, 0, 0, 0]), [0x4f, 0x60, 0x60, 0, 8, 0, 0, 0]);
        assert_eq!(b.ask([0x2b, 0x17, 0x10, 0, 0xe8, 3, 0, 0]), [0x60, 0x17, 0x10, 0, 0, 0, 0, 0]);
        assert_eq!(b.ask([0x40, 0x17, 0x10, 0, 0, 0, 0, 0]), [0x4b, 0x17, 0x10, 0, 0xe8, 3, 0, 0]);
        assert_eq!(b.ask([0x23, 0x85, 0x60, 0, 1, 2, 3, 4]), [0x60, 0x85, 0x60, 0, 0, 0, 0, 0]);
        assert_eq!(b.ask([0x40, 0x85, 0x60, 0, 0, 0, 0, 0]), [0x43, 0x85, 0x60, 0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_text_is_read_in_segments() {
        let mut b = Bench::new();
        assert_eq!(b.ask([0x40, 8, 0x10, 0, 0, 0, 0, 0]), [0x41, 8, 0x10, 0, 28, 0, 0, 0]);
        let mut text = Vec::new();
        for toggle in [0, 0x10, 0, 0x10] {
            let answer = b.ask([0x60 | toggle, 0, 0, 0, 0, 0, 0, 0]);
            assert_eq!(answer[0] & 0x10, toggle);
            let unused = usize::from((answer[0] >> 1) & 7);
            text.extend_from_slice(&answer[1..8 - unused]);
            assert_eq!(answer[0] & 1 == 1, text.len() == 28);
        }
        assert_eq!(text, b"MechOS simulated servo drive");
    }

    #[test]
    fn a_number_is_written_in_segments() {
        let mut b = Bench::new();
        assert_eq!(b.ask([0x21, 0x85, 0x60, 0, 4, 0, 0, 0])[0], 0x60);
        assert_eq!(b.ask([0x07, 9, 8, 7, 6, 0, 0, 0])[0], 0x20);
        assert_eq!(b.1.number(0x6085, 0), 0x0607_0809);
    }

    #[test]
    fn faults_are_answered_with_their_abort_code() {
        let mut b = Bench::new();
        let code = |answer: [u8; 8]| {
            assert_eq!(answer[0], 0x80);
            u32::from_le_bytes([answer[4], answer[5], answer[6], answer[7]])
        };
        assert_eq!(code(b.ask([0x40, 0, 0x20, 0, 0, 0, 0, 0])), 0x0602_0000);
        assert_eq!(code(b.ask([0x40, 0x18, 0x10, 9, 0, 0, 0, 0])), 0x0609_0011);
        assert_eq!(code(b.ask([0x2b, 0x41, 0x60, 0, 0, 0, 0, 0])), 0x0601_0002);
        assert_eq!(code(b.ask([0x2f, 0x17, 0x10, 0, 0, 0, 0, 0])), 0x0607_0013);
        assert_eq!(code(b.ask([0x23, 0x17, 0x10, 0, 0, 0, 0, 0])), 0x0607_0012);
        assert_eq!(code(b.ask([0x2b, 0x07, 0x60, 0, 9, 0, 0, 0])), 0x0609_0031);
        assert_eq!(code(b.ask([0x60, 0, 0, 0, 0, 0, 0, 0])), 0x0504_0001, "no transfer open");
        assert_eq!(code(b.ask([0xa0, 8, 0x10, 0, 0, 0, 0, 0])), 0x0504_0001, "block transfer");
        b.ask([0x40, 8, 0x10, 0, 0, 0, 0, 0]);
        assert_eq!(code(b.ask([0x70, 0, 0, 0, 0, 0, 0, 0])), 0x0503_0000, "toggle");
        b.ask([0x21, 0x85, 0x60, 0, 4, 0, 0, 0]);
        assert_eq!(code(b.ask([0x0b, 1, 2, 0, 0, 0, 0, 0])), 0x0607_0010, "length announced");
    }

    #[test]
    fn an_abort_or_a_short_frame_gets_no_answer() {
        let mut b = Bench::new();
        assert_eq!(b.0.answer(&[0x80, 0, 0, 0, 0, 0, 0, 0], &mut b.1), None);
        assert_eq!(b.0.answer(&[0x40, 0, 0], &mut b.1), None);
    }
}
