//! How long a frame occupies the wire: its bits after stuffing, counted one by one.
//!
//! Sources: ISO 11898-1 (frame format, CRC polynomial 0x4599, a stuff bit after five equal bits
//! from start of frame to the end of the CRC sequence).

use hal::frame::{Frame, FrameKind};

/// Bits from the last stuffed bit to the end of the frame: CRC delimiter, ACK slot, ACK delimiter,
/// seven bits end of frame.
const TAIL_BITS: u32 = 10;

/// Bits of the intermission after a frame, before the next may start.
pub const INTERMISSION_BITS: u32 = 3;

const CRC_POLYNOMIAL: u16 = 0x4599;
const NANOSECONDS: u64 = 1_000_000_000;

/// Stuffs and sums a bit stream as a controller does.
struct Stuffer {
    crc: u16,
    last: bool,
    run: u32,
    bits: u32,
}

impl Stuffer {
    fn new() -> Self {
        Self { crc: 0, last: true, run: 0, bits: 0 }
    }

    /// One bit as the frame has it, and the stuff bit that may follow.
    fn put(&mut self, bit: bool) {
        self.bits += 1;
        self.run = if bit == self.last { self.run + 1 } else { 1 };
        self.last = bit;
        if self.run == 5 {
            self.bits += 1;
            self.last = !bit;
            self.run = 1;
        }
    }

    /// The `count` lowest bits of `value`, highest first, under the CRC.
    fn field(&mut self, value: u32, count: u32) {
        for position in (0..count).rev() {
            let bit = (value >> position) & 1 == 1;
            let feedback = bit != (self.crc & 0x4000 != 0);
            self.crc = (self.crc << 1) & 0x7fff;
            if feedback {
                self.crc ^= CRC_POLYNOMIAL;
            }
            self.put(bit);
        }
    }

    fn checksum(&mut self) {
        let crc = self.crc;
        for position in (0..15).rev() {
            self.put((crc >> position) & 1 == 1);
        }
    }
}

/// Bits of `frame` on the wire, stuff bits included, intermission not included.
///
/// A CAN FD frame is counted as if it were sent at the nominal rate throughout (simulated buses
/// are classic; this is never too short).
pub fn frame_bits(frame: &Frame) -> u32 {
    let remote = frame.kind() == FrameKind::Remote;
    let data = if remote { &[] } else { frame.data() };
    let length = u32::try_from(data.len()).unwrap_or(64);
    let code = if remote { u32::try_from(frame.len()).unwrap_or(8) } else { length };
    let mut wire = Stuffer::new();
    wire.field(0, 1);
    if frame.is_extended() {
        wire.field(frame.id() >> 18, 11);
        wire.field(0b11, 2);
        wire.field(frame.id() & 0x3_ffff, 18);
        wire.field(u32::from(remote), 1);
        wire.field(0, 2);
    } else {
        wire.field(frame.id(), 11);
        wire.field(u32::from(remote), 1);
        wire.field(0, 2);
    }
    wire.field(code.min(15), 4);
    for byte in data {
        wire.field(u32::from(*byte), 8);
    }
    wire.checksum();
    wire.bits + TAIL_BITS
}

/// How long `bits` take at `bitrate` (bit/s), ns, rounded up.
pub fn duration_ns(bits: u32, bitrate: u32) -> u64 {
    (u64::from(bits) * NANOSECONDS).div_ceil(u64::from(bitrate.max(1)))
}

/// The order in which frames win the bus: smaller wins. The bits of the arbitration field as they
/// are sent, so that a standard frame beats an extended one of the same base identifier, and a data
/// frame beats its remote frame.
pub fn arbitration_key(frame: &Frame) -> u32 {
    let remote = u32::from(frame.kind() == FrameKind::Remote);
    if frame.is_extended() {
        let (base, rest) = (frame.id() >> 18, frame.id() & 0x3_ffff);
        (base & 0x7ff) << 21 | 0b11 << 19 | rest << 1 | remote
    } else {
        (frame.id() & 0x7ff) << 21 | remote << 20
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_stuffing_a_standard_frame_has_44_bits_and_8_a_byte() {
        // 0x555 alternates, so that only few stuff bits arise; the bound of the formula holds.
        for len in 0..=8usize {
            let frame = Frame::new(0x555, &[0xaa; 8][..len]).unwrap();
            let plain = 44 + 8 * u32::try_from(len).unwrap();
            let bits = frame_bits(&frame);
            assert!(bits >= plain && bits <= plain + 8, "{len}: {bits}");
        }
    }

    #[test]
    fn never_longer_than_the_worst_case_of_davis() {
        for id in [0u16, 0x80, 0x181, 0x201, 0x77f, 0x7ff] {
            for byte in [0u8, 0xff, 0x0f, 0x78, 0x1e, 0x3c, 0x55] {
                for len in 0..=8usize {
                    let frame = Frame::new(id, &[byte; 8][..len]).unwrap();
                    let n = u32::try_from(len).unwrap();
                    let worst = 8 * n + 47 + (34 + 8 * n - 1) / 4;
                    assert!(
                        frame_bits(&frame) + INTERMISSION_BITS <= worst,
                        "{id:x} {byte:x} {len}"
                    );
                    assert!(frame_bits(&frame) >= 44 + 8 * n);
                }
            }
        }
    }

    #[test]
    fn an_empty_frame_of_zeros_counted_by_hand() {
        // 19 zero bits of head (SOF, 11 id, RTR, IDE, r0, 4 DLC), CRC of zeros is zero: 34 zeros.
        // Stuff bits: after 5 zeros, then a one starts a new run: groups of 5 zeros each after a
        // stuffed one. 34 zeros give floor(34 / 5) = 6 stuff bits.
        let frame = Frame::new(0, &[]).unwrap();
        assert_eq!(frame_bits(&frame), 34 + 6 + 10);
    }

    #[test]
    fn a_bit_takes_one_microsecond_at_1_mbit() {
        assert_eq!(duration_ns(111, 1_000_000), 111_000);
        assert_eq!(duration_ns(1, 3), 333_333_334);
    }

    #[test]
    fn arbitration_follows_the_field_on_the_wire() {
        let data = Frame::new(0x100, &[]).unwrap();
        let remote = Frame::remote(0x100, 0).unwrap();
        let extended = Frame::extended(0x100 << 18, &[]).unwrap();
        let later = Frame::new(0x101, &[]).unwrap();
        let keys = [&data, &remote, &extended, &later].map(arbitration_key);
        assert!(keys.is_sorted() && keys[0] < keys[1] && keys[1] < keys[2] && keys[2] < keys[3]);
    }
}
