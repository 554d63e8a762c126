//! What a write must satisfy beyond type and range: option codes that exist, and the order in which
//! CiA 301 lets a PDO be changed (switch off, empty, fill, switch on).

use super::defaults::{MAPPED_MAX, PDO_INVALID, PDOS};
use super::dictionary::{Access, Dictionary};
use super::objects::*;

/// Which way a PDO goes, seen from the drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The drive receives.
    Receive,
    /// The drive sends.
    Transmit,
}

/// Whether `value` may be written to an object that has passed type and range.
pub fn check(dictionary: &Dictionary, index: u16, sub: u8, value: i64) -> Result<(), Abort> {
    match (index, sub) {
        (QUICK_STOP_OPTION, 0) if matches!(value, 3 | 4) => Err(Abort::RANGE),
        (MODE, 0) if !matches!(value, 0 | MODE_CSP) => Err(Abort::RANGE),
        (CONSUMER_HEARTBEAT, _) => consumer_heartbeat(dictionary, sub, value),
        _ => pdo(dictionary, index, sub, value),
    }
}

/// A node may be watched once only.
fn consumer_heartbeat(dictionary: &Dictionary, sub: u8, value: i64) -> Result<(), Abort> {
    let node = |v: i64| (v >> 16) & 0x7f;
    let other = dictionary.number(CONSUMER_HEARTBEAT, if sub == 1 { 2 } else { 1 });
    let twice = node(value) != 0 && value & 0xffff != 0 && node(value) == node(other);
    if twice && other & 0xffff != 0 { Err(Abort(0x0604_0043)) } else { Ok(()) }
}

fn pdo(dictionary: &Dictionary, index: u16, sub: u8, value: i64) -> Result<(), Abort> {
    let within = |first: u16| (first..first + PDOS).contains(&index).then(|| index - first);
    if within(RPDO_COMMUNICATION).or(within(TPDO_COMMUNICATION)).is_some() {
        let sends = index >= TPDO_COMMUNICATION;
        return communication(dictionary, index, sub, value, sends);
    }
    let (direction, communication) = if let Some(n) = within(RPDO_MAPPING) {
        (Direction::Receive, RPDO_COMMUNICATION + n)
    } else if let Some(n) = within(TPDO_MAPPING) {
        (Direction::Transmit, TPDO_COMMUNICATION + n)
    } else {
        return Ok(());
    };
    if dictionary.number(communication, 1) & PDO_INVALID == 0 {
        return Err(Abort::STATE);
    }
    if sub == 0 {
        return filled(dictionary, index, value);
    }
    if dictionary.number(index, 0) != 0 {
        return Err(Abort::STATE);
    }
    mappable(dictionary, value, direction).map(|_| ())
}

fn communication(
    dictionary: &Dictionary,
    index: u16,
    sub: u8,
    value: i64,
    sends: bool,
) -> Result<(), Abort> {
    match sub {
        1 => {
            let old = dictionary.number(index, 1);
            let exists = |v: i64| v & PDO_INVALID == 0;
            let id = |v: i64| v & 0x1fff_ffff;
            if exists(old) && exists(value) && id(old) != id(value) {
                return Err(Abort::STATE);
            }
            if id(value) > 0x7ff || exists(value) && (id(value) == 0 || reserved(id(value))) {
                return Err(Abort::RANGE);
            }
            Ok(())
        }
        2 if (241..254).contains(&value) || (sends && value == 0) => Err(Abort::RANGE),
        3 if dictionary.number(index, 1) & PDO_INVALID == 0 => Err(Abort::STATE),
        _ => Ok(()),
    }
}

/// Identifiers that no PDO may take (CiA 301, table 60): NMT, SDO, heartbeat and what is between.
fn reserved(id: i64) -> bool {
    matches!(id, 0..=0x7f | 0x101..=0x180 | 0x581..=0x5ff | 0x601..=0x67f | 0x6e0..=0x7ff)
}

/// A mapping entry's object and its bytes, if the object may travel in that direction.
pub fn mappable(
    dictionary: &Dictionary,
    entry: i64,
    direction: Direction,
) -> Result<(u16, u8, usize), Abort> {
    let index = u16::try_from((entry >> 16) & 0xffff).unwrap_or(0);
    let sub = u8::try_from((entry >> 8) & 0xff).unwrap_or(0);
    let bits = usize::try_from(entry & 0xff).unwrap_or(0);
    let object = dictionary.entry(index, sub)?;
    let fits = match direction {
        Direction::Receive => object.access == Access::WriteMapped,
        Direction::Transmit => matches!(object.access, Access::WriteMapped | Access::ReadMapped),
    };
    if !fits || bits != object.kind.bytes() * 8 {
        return Err(Abort::NOT_MAPPABLE);
    }
    Ok((index, sub, bits / 8))
}

/// Whether the first `count` mapping entries are there and fit eight bytes.
fn filled(dictionary: &Dictionary, index: u16, count: i64) -> Result<(), Abort> {
    let direction =
        if index < TPDO_COMMUNICATION { Direction::Receive } else { Direction::Transmit };
    let mut bytes = 0;
    for sub in (1..=MAPPED_MAX).take(usize::try_from(count).unwrap_or(0)) {
        bytes += mappable(dictionary, dictionary.number(index, sub), direction)?.2;
    }
    if bytes > 8 { Err(Abort::PDO_LENGTH) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::DriveSpec;

    fn dictionary() -> Dictionary {
        Dictionary::new(&DriveSpec::example(3))
    }

    #[test]
    fn a_pdo_is_changed_only_while_it_does_not_exist() {
        let mut d = dictionary();
        assert_eq!(check(&d, RPDO_MAPPING, 0, 0), Err(Abort::STATE));
        assert_eq!(check(&d, RPDO_COMMUNICATION, 1, 0x333), Err(Abort::STATE));
        assert_eq!(check(&d, RPDO_COMMUNICATION, 1, 0x203 | PDO_INVALID), Ok(()));
        d.set(RPDO_COMMUNICATION, 1, 0x203 | PDO_INVALID);
        assert_eq!(check(&d, RPDO_MAPPING, 1, 0x607a_0020), Err(Abort::STATE));
        assert_eq!(check(&d, RPDO_MAPPING, 0, 0), Ok(()));
        d.set(RPDO_MAPPING, 0, 0);
        assert_eq!(check(&d, RPDO_MAPPING, 1, 0x607a_0020), Ok(()));
    }

    #[test]
    fn only_objects_of_the_right_direction_and_length_are_mapped() {
        let d = dictionary();
        let map = |entry, direction| mappable(&d, entry, direction);
        assert_eq!(map(0x6041_0010, Direction::Receive), Err(Abort::NOT_MAPPABLE));
        assert_eq!(map(0x6041_0010, Direction::Transmit), Ok((STATUSWORD, 0, 2)));
        assert_eq!(map(0x6041_0020, Direction::Transmit), Err(Abort::NOT_MAPPABLE));
        assert_eq!(map(0x1017_0010, Direction::Transmit), Err(Abort::NOT_MAPPABLE));
        assert_eq!(map(0x2222_0010, Direction::Transmit), Err(Abort::NO_OBJECT));
    }

    #[test]
    fn nine_bytes_do_not_fit_a_pdo() {
        let mut d = dictionary();
        let pdo = TPDO_MAPPING + 1;
        for (sub, entry) in [(1, 0x6064_0020), (2, 0x606c_0020), (3, 0x6061_0008)] {
            d.set(pdo, sub, entry);
        }
        assert_eq!(check(&d, pdo, 0, 2), Ok(()));
        assert_eq!(check(&d, pdo, 0, 3), Err(Abort::PDO_LENGTH));
        assert_eq!(check(&d, pdo, 0, 4), Err(Abort::NO_OBJECT));
    }

    #[test]
    fn a_pdo_may_not_take_the_identifier_of_a_service() {
        let d = dictionary();
        for id in [0x000, 0x07f, 0x601, 0x583, 0x701] {
            assert_eq!(check(&d, RPDO_COMMUNICATION + 3, 1, id), Err(Abort::RANGE), "{id:x}");
        }
        assert_eq!(check(&d, RPDO_COMMUNICATION + 3, 1, 0x0f0), Ok(()));
    }

    #[test]
    fn options_the_drive_has_not_are_refused() {
        let d = dictionary();
        assert_eq!(check(&d, QUICK_STOP_OPTION, 0, 4), Err(Abort::RANGE));
        assert_eq!(check(&d, MODE, 0, 1), Err(Abort::RANGE));
        assert_eq!(check(&d, MODE, 0, 8), Ok(()));
    }

    #[test]
    fn a_node_is_watched_once_only() {
        let mut d = dictionary();
        d.set(CONSUMER_HEARTBEAT, 1, 0x7f_0064);
        assert_eq!(check(&d, CONSUMER_HEARTBEAT, 2, 0x7f_0010), Err(Abort(0x0604_0043)));
        assert_eq!(check(&d, CONSUMER_HEARTBEAT, 2, 0x7e_0010), Ok(()));
    }
}
