//! What the observer hands on of a frame: 24 bytes through a pipe.

/// Bytes of a record.
pub const LEN: usize = 24;

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A frame that was on the wire.
    Frame,
    /// Every bus is open: from now on nothing is missed.
    Ready,
    /// Frames that the kernel had to drop on their way here, so far; the count stands in `time_ns`.
    Lost,
    /// A bus is gone.
    Gone,
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// What it says.
    pub kind: Kind,
    /// The bus, as in the robot file.
    pub bus: u8,
    /// The frame's identifier, 11 bits.
    pub id: u16,
    /// Bytes of payload.
    pub len: u8,
    /// The payload.
    pub data: [u8; 8],
    /// When the frame was received, by the kernel's (or the simulated bus') own stamp,
    /// CLOCK_MONOTONIC ns.
    pub time_ns: u64,
}

impl Record {
    /// A record that is no frame.
    pub fn word(kind: Kind, bus: u8, value: u64) -> Record {
        Record { kind, bus, id: 0, len: 0, data: [0; 8], time_ns: value }
    }

    /// The payload.
    pub fn payload(&self) -> &[u8] {
        self.data.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// As bytes.
    pub fn encode(&self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        let head = [self.kind as u8, self.bus, self.len, 0];
        let parts = [&head[..], &self.id.to_le_bytes(), &[0; 2], &self.data];
        let all = parts.into_iter().flatten().copied().chain(self.time_ns.to_le_bytes());
        for (to, from) in bytes.iter_mut().zip(all) {
            *to = from;
        }
        bytes
    }

    /// From bytes; `None` for what none can be.
    pub fn decode(bytes: &[u8; LEN]) -> Option<Record> {
        let [kind, bus, len, _, id0, id1, _, _, rest @ ..] = *bytes;
        let (data, time) = rest.split_first_chunk::<8>()?;
        let kind = match kind {
            0 => Kind::Frame,
            1 => Kind::Ready,
            2 => Kind::Lost,
            3 => Kind::Gone,
            _ => return None,
        };
        let time_ns = u64::from_le_bytes(*time.first_chunk::<8>()?);
        let id = u16::from_le_bytes([id0, id1]);
        (len <= 8).then_some(Record { kind, bus, id, len, data: *data, time_ns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_the_pipe() {
        let frame = Record {
            kind: Kind::Frame,
            bus: 1,
            id: 0x181,
            len: 6,
            data: [1, 2, 3, 4, 5, 6, 0, 0],
            time_ns: u64::MAX - 3,
        };
        for record in [frame, Record::word(Kind::Ready, 0, 0), Record::word(Kind::Lost, 1, 9)] {
            assert_eq!(Record::decode(&record.encode()), Some(record));
        }
        assert_eq!(frame.payload(), [1, 2, 3, 4, 5, 6]);
        assert_eq!(Record::decode(&[9; LEN]), None);
    }
}
