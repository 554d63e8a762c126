//! The object dictionary: every value a master can see, with type, access and range. It is also
//! where the drive itself keeps them, so that what is read back is what is in force.

use super::defaults;
use super::objects::Abort;
use crate::spec::DriveSpec;

/// Type of an object, with its length on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Unsigned, 1 byte.
    U8,
    /// Signed, 1 byte.
    I8,
    /// Unsigned, 2 bytes.
    U16,
    /// Signed, 2 bytes.
    I16,
    /// Unsigned, 4 bytes.
    U32,
    /// Signed, 4 bytes.
    I32,
    /// Visible string, constant.
    Text(&'static str),
}

impl Kind {
    /// Bytes on the wire (of a text: its length).
    pub fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 => 4,
            Self::Text(text) => text.len(),
        }
    }

    fn signed(self) -> bool {
        matches!(self, Self::I8 | Self::I16 | Self::I32)
    }

    /// Smallest and largest value the type can hold.
    pub fn range(self) -> (i64, i64) {
        match self {
            Self::U8 => (0, u8::MAX.into()),
            Self::I8 => (i8::MIN.into(), i8::MAX.into()),
            Self::U16 => (0, u16::MAX.into()),
            Self::I16 => (i16::MIN.into(), i16::MAX.into()),
            Self::U32 => (0, u32::MAX.into()),
            Self::I32 => (i32::MIN.into(), i32::MAX.into()),
            Self::Text(_) => (0, 0),
        }
    }
}

/// Who may do what with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The master reads.
    Read,
    /// The master reads and writes.
    Write,
    /// As `Read`, and a transmit PDO may carry it.
    ReadMapped,
    /// As `Write`, and a receive PDO may carry it.
    WriteMapped,
}

/// One object or sub-object.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Index, 0x1000 to 0xFFFF.
    pub index: u16,
    /// Sub-index.
    pub sub: u8,
    /// Type.
    pub kind: Kind,
    /// Access.
    pub access: Access,
    /// Power-on value.
    pub default: i64,
    /// Smallest value that may be written.
    pub min: i64,
    /// Largest value that may be written.
    pub max: i64,
    value: i64,
}

impl Entry {
    /// An object whose whole type range may be written.
    pub fn new(index: u16, sub: u8, kind: Kind, access: Access, default: i64) -> Self {
        let (min, max) = kind.range();
        Self { index, sub, kind, access, default, min, max, value: default }
    }

    /// The same object with a narrower range.
    pub fn within(mut self, min: i64, max: i64) -> Self {
        (self.min, self.max) = (min, max);
        self
    }
}

/// What an object holds, as bytes for the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bytes {
    /// A number, little-endian, and how many of the bytes count.
    Number([u8; 8], usize),
    /// A text.
    Text(&'static str),
}

impl Bytes {
    /// The bytes that count.
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Number(bytes, len) => bytes.get(..*len).unwrap_or_default(),
            Self::Text(text) => text.as_bytes(),
        }
    }
}

/// All objects of one drive, sorted by index and sub-index.
pub struct Dictionary {
    entries: Vec<Entry>,
}

impl Dictionary {
    /// Power-on values of the drive described by `spec`.
    pub fn new(spec: &DriveSpec) -> Self {
        let mut entries = defaults::entries(spec);
        entries.sort_by_key(|e| (e.index, e.sub));
        Self { entries }
    }

    fn place(&self, index: u16, sub: u8) -> Option<usize> {
        self.entries.binary_search_by_key(&(index, sub), |e| (e.index, e.sub)).ok()
    }

    /// An object, or the abort code that says what is missing.
    pub fn entry(&self, index: u16, sub: u8) -> Result<&Entry, Abort> {
        if let Some(entry) = self.place(index, sub).and_then(|place| self.entries.get(place)) {
            return Ok(entry);
        }
        let known = self.entries.iter().any(|e| e.index == index);
        Err(if known { Abort::NO_SUB_INDEX } else { Abort::NO_OBJECT })
    }

    /// Present value; 0 for what does not exist.
    pub fn number(&self, index: u16, sub: u8) -> i64 {
        self.entry(index, sub).map_or(0, |e| e.value)
    }

    /// Present value, unsigned; 0 for what does not exist.
    pub fn unsigned(&self, index: u16, sub: u8) -> u32 {
        u32::try_from(self.number(index, sub)).unwrap_or(0)
    }

    /// The drive itself sets a value; what does not fit the type is held at the type's end.
    pub fn set(&mut self, index: u16, sub: u8, value: i64) {
        if let Some(place) = self.place(index, sub)
            && let Some(entry) = self.entries.get_mut(place)
        {
            let (min, max) = entry.kind.range();
            entry.value = value.clamp(min, max);
        }
    }

    /// Present value as bytes.
    pub fn read(&self, index: u16, sub: u8) -> Result<Bytes, Abort> {
        let entry = self.entry(index, sub)?;
        Ok(match entry.kind {
            Kind::Text(text) => Bytes::Text(text),
            kind => Bytes::Number(entry.value.to_le_bytes(), kind.bytes()),
        })
    }

    /// What `bytes` would mean for an object, checked for access, length and range.
    pub fn decode(&self, index: u16, sub: u8, bytes: &[u8]) -> Result<i64, Abort> {
        let entry = self.entry(index, sub)?;
        if !matches!(entry.access, Access::Write | Access::WriteMapped) {
            return Err(Abort::READ_ONLY);
        }
        match bytes.len().cmp(&entry.kind.bytes()) {
            std::cmp::Ordering::Greater => return Err(Abort::TOO_LONG),
            std::cmp::Ordering::Less => return Err(Abort::TOO_SHORT),
            std::cmp::Ordering::Equal => {}
        }
        let negative = entry.kind.signed() && bytes.last().is_some_and(|b| b & 0x80 != 0);
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        for (to, from) in wide.iter_mut().zip(bytes) {
            *to = *from;
        }
        let value = i64::from_le_bytes(wide);
        if value > entry.max {
            return Err(Abort::TOO_HIGH);
        }
        if value < entry.min {
            return Err(Abort::TOO_LOW);
        }
        Ok(value)
    }

    /// Puts objects 0x1000 to 0x1FFF back to their power-on values.
    pub fn reset_communication(&mut self) {
        self.entries.iter_mut().filter(|e| e.index < 0x2000).for_each(|e| e.value = e.default);
    }

    /// Puts everything back to its power-on value.
    pub fn reset_all(&mut self) {
        self.entries.iter_mut().for_each(|e| e.value = e.default);
    }
}

#[cfg(test)]
mod tests {
    use super::super::objects::*;
    use super::*;

    #[test]
    fn values_are_checked_for_access_length_and_range() {
        let dictionary = Dictionary::new(&DriveSpec::example(1));
        assert_eq!(dictionary.decode(STATUSWORD, 0, &[0, 0]), Err(Abort::READ_ONLY));
        assert_eq!(dictionary.decode(CONTROLWORD, 0, &[0]), Err(Abort::TOO_SHORT));
        assert_eq!(dictionary.decode(CONTROLWORD, 0, &[0; 4]), Err(Abort::TOO_LONG));
        assert_eq!(dictionary.decode(ABORT_CONNECTION, 0, &[9, 0]), Err(Abort::TOO_HIGH));
        assert_eq!(dictionary.decode(ABORT_CONNECTION, 0, &[0xff, 0xff]), Err(Abort::TOO_LOW));
        assert_eq!(dictionary.decode(0x2000, 0, &[0]), Err(Abort::NO_OBJECT));
        assert_eq!(dictionary.decode(IDENTITY, 9, &[0]), Err(Abort::NO_SUB_INDEX));
        assert_eq!(dictionary.decode(TARGET_POSITION, 0, &[0xfe, 0xff, 0xff, 0xff]), Ok(-2));
    }

    #[test]
    fn a_reset_puts_values_back() {
        let mut dictionary = Dictionary::new(&DriveSpec::example(1));
        dictionary.set(PRODUCER_HEARTBEAT, 0, 100);
        dictionary.set(ABORT_CONNECTION, 0, 3);
        dictionary.reset_communication();
        assert_eq!(dictionary.number(PRODUCER_HEARTBEAT, 0), 0);
        assert_eq!(dictionary.number(ABORT_CONNECTION, 0), 3);
        dictionary.reset_all();
        assert_eq!(dictionary.number(ABORT_CONNECTION, 0), 0);
    }
}
