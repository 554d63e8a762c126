//! Process data: the mapping as it was written by SDO, compiled for use, and the rules of when a
//! PDO acts. Nothing about a layout is fixed here; a wrong mapping moves wrong bytes, as it would.

use super::defaults::{MAPPED_MAX, PDO_INVALID, PDOS};
use super::dictionary::Dictionary;
use super::objects::*;
use super::rules::{Direction, mappable};

const MILLISECOND_NS: u64 = 1_000_000;
const INHIBIT_UNIT_NS: u64 = 100_000;

/// One object in a PDO.
#[derive(Clone, Copy, Debug)]
struct Mapped {
    index: u16,
    sub: u8,
    bytes: usize,
}

/// Payload of a PDO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Payload {
    bytes: [u8; 8],
    len: usize,
}

impl Payload {
    /// Copies up to eight bytes.
    pub fn new(data: &[u8]) -> Self {
        let mut payload = Self::default();
        payload.extend(data);
        payload
    }

    fn extend(&mut self, data: &[u8]) {
        let place = self.bytes.get_mut(self.len..).unwrap_or_default();
        self.len += place.len().min(data.len());
        place.iter_mut().zip(data).for_each(|(to, from)| *to = *from);
    }

    /// The bytes that count.
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// A receive PDO that exists.
pub struct Receive {
    cob_id: u32,
    /// Acts at the next SYNC instead of at once.
    pub synchronous: bool,
    mapping: Vec<Mapped>,
    /// Waiting for a SYNC.
    pub pending: Option<Payload>,
    deadline_ns: Option<u64>,
    /// When the next one is due; armed by the first reception.
    pub due_ns: Option<u64>,
}

/// A transmit PDO that exists.
pub struct Transmit {
    /// Its identifier.
    pub cob_id: u16,
    every: Option<u8>,
    syncs: u8,
    mapping: Vec<Mapped>,
    inhibit_ns: u64,
    event_ns: Option<u64>,
    last: Payload,
    sent_ns: Option<u64>,
}

/// All PDOs of a drive, compiled from its dictionary.
#[derive(Default)]
pub struct Pdos {
    /// Those it receives.
    pub receive: Vec<Receive>,
    /// Those it sends.
    pub transmit: Vec<Transmit>,
}

impl Pdos {
    /// Reads the communication and mapping records.
    pub fn compile(objects: &Dictionary) -> Self {
        let cob_id = |index| {
            let value = objects.number(index, 1);
            (value & PDO_INVALID == 0).then_some(value & 0x7ff)
        };
        let receive = (0..PDOS).filter_map(|n| {
            let record = RPDO_COMMUNICATION + n;
            let deadline = u64::from(objects.unsigned(record, 5)) * MILLISECOND_NS;
            Some(Receive {
                cob_id: u32::try_from(cob_id(record)?).ok()?,
                synchronous: objects.number(record, 2) <= 240,
                mapping: mapping(objects, RPDO_MAPPING + n, Direction::Receive),
                pending: None,
                deadline_ns: (deadline > 0).then_some(deadline),
                due_ns: None,
            })
        });
        let transmit = (0..PDOS).filter_map(|n| {
            let record = TPDO_COMMUNICATION + n;
            let kind = u8::try_from(objects.number(record, 2)).ok()?;
            let event = u64::from(objects.unsigned(record, 5)) * MILLISECOND_NS;
            Some(Transmit {
                cob_id: u16::try_from(cob_id(record)?).ok()?,
                every: (kind <= 240).then_some(kind.max(1)),
                syncs: 0,
                mapping: mapping(objects, TPDO_MAPPING + n, Direction::Transmit),
                inhibit_ns: u64::from(objects.unsigned(record, 3)) * INHIBIT_UNIT_NS,
                event_ns: (event > 0).then_some(event),
                last: Payload::default(),
                sent_ns: None,
            })
        });
        Self { receive: receive.collect(), transmit: transmit.collect() }
    }

    /// Forgets what waits and what was sent: the drive enters or leaves operation.
    pub fn restart(&mut self) {
        for pdo in &mut self.receive {
            (pdo.pending, pdo.due_ns) = (None, None);
        }
        for pdo in &mut self.transmit {
            (pdo.syncs, pdo.sent_ns) = (0, None);
        }
    }
}

fn mapping(objects: &Dictionary, index: u16, direction: Direction) -> Vec<Mapped> {
    let count = usize::try_from(objects.number(index, 0)).unwrap_or(0);
    (1..=MAPPED_MAX)
        .take(count)
        .filter_map(|sub| mappable(objects, objects.number(index, sub), direction).ok())
        .map(|(index, sub, bytes)| Mapped { index, sub, bytes })
        .collect()
}

/// What a receive PDO did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Objects were written; whether the controlword was among them.
    Applied {
        /// The controlword was among them.
        controlword: bool,
        /// The target position was among them.
        target: bool,
    },
    /// Shorter than its mapping: ignored.
    TooShort,
}

impl Receive {
    /// Whether a frame with this identifier is this PDO.
    pub fn matches(&self, id: u32) -> bool {
        self.cob_id == id
    }

    /// A reception at `now_ns` starts or restarts the deadline.
    pub fn heard(&mut self, now_ns: u64) {
        self.due_ns = self.deadline_ns.map(|deadline| now_ns + deadline);
    }

    /// Writes the mapped objects. Values out of an object's range are left out.
    pub fn apply(&self, payload: &Payload, objects: &mut Dictionary) -> Effect {
        let wanted: usize = self.mapping.iter().map(|m| m.bytes).sum();
        if payload.len < wanted {
            return Effect::TooShort;
        }
        let (mut rest, mut controlword, mut target) = (payload.as_slice(), false, false);
        for object in &self.mapping {
            let Some((bytes, tail)) = rest.split_at_checked(object.bytes) else { break };
            rest = tail;
            if let Ok(value) = objects.decode(object.index, object.sub, bytes)
                && rules_allow(objects, object, value)
            {
                objects.set(object.index, object.sub, value);
                controlword |= object.index == CONTROLWORD;
                target |= object.index == TARGET_POSITION;
            }
        }
        Effect::Applied { controlword, target }
    }
}

fn rules_allow(objects: &Dictionary, object: &Mapped, value: i64) -> bool {
    super::rules::check(objects, object.index, object.sub, value).is_ok()
}

impl Transmit {
    fn payload(&self, objects: &Dictionary) -> Payload {
        let mut payload = Payload::default();
        for object in &self.mapping {
            if let Ok(value) = objects.read(object.index, object.sub) {
                payload.extend(value.as_slice());
            }
        }
        payload
    }

    /// Whether a SYNC makes this PDO sample: every n-th one, if it is synchronous.
    pub fn on_sync(&mut self, objects: &Dictionary) -> Option<Payload> {
        let every = self.every?;
        self.syncs += 1;
        if self.syncs < every {
            return None;
        }
        self.syncs = 0;
        Some(self.payload(objects))
    }

    /// An event-driven PDO goes out when its content changed or its event timer ran out, and not
    /// before its inhibit time has passed.
    pub fn on_event(&mut self, now_ns: u64, objects: &Dictionary) -> Option<Payload> {
        if self.every.is_some() {
            return None;
        }
        let payload = self.payload(objects);
        let due = match self.sent_ns {
            None => true,
            Some(sent) if now_ns < sent + self.inhibit_ns => false,
            Some(sent) => {
                payload != self.last || self.event_ns.is_some_and(|event| now_ns >= sent + event)
            }
        };
        if !due {
            return None;
        }
        (self.last, self.sent_ns) = (payload, Some(now_ns));
        Some(payload)
    }

    /// When `on_event` must be asked again though nothing else happens.
    pub fn due_ns(&self) -> Option<u64> {
        let event_ns = self.event_ns.filter(|_| self.every.is_none())?;
        Some(self.sent_ns? + event_ns.max(self.inhibit_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::DriveSpec;

    fn mapped(communication: u16, mapping: u16, kind: i64, entries: &[i64]) -> Dictionary {
        let mut objects = Dictionary::new(&DriveSpec::example(1));
        objects.set(communication, 1, 0x201);
        objects.set(communication, 2, kind);
        objects.set(mapping, 0, i64::try_from(entries.len()).unwrap());
        for (sub, entry) in (1..).zip(entries) {
            objects.set(mapping, sub, *entry);
        }
        objects
    }

    #[test]
    fn a_receive_pdo_is_decoded_as_mapped() {
        let entries = [0x6040_0010, 0x607a_0020];
        let mut objects = mapped(RPDO_COMMUNICATION, RPDO_MAPPING, 1, &entries);
        let pdos = Pdos::compile(&objects);
        let payload = Payload::new(&[0x0f, 0, 0xfe, 0xff, 0xff, 0xff]);
        let effect = pdos.receive[0].apply(&payload, &mut objects);
        assert_eq!(effect, Effect::Applied { controlword: true, target: true });
        assert!(pdos.receive[0].synchronous);
        assert_eq!(objects.number(CONTROLWORD, 0), 15);
        assert_eq!(objects.number(TARGET_POSITION, 0), -2);
        let short = Payload::new(&[0; 5]);
        assert_eq!(pdos.receive[0].apply(&short, &mut objects), Effect::TooShort);
    }

    #[test]
    fn a_synchronous_pdo_goes_out_every_nth_sync() {
        let objects = mapped(TPDO_COMMUNICATION, TPDO_MAPPING, 3, &[0x6041_0010]);
        let mut pdos = Pdos::compile(&objects);
        let sent: Vec<_> = (0..6).map(|_| pdos.transmit[0].on_sync(&objects).is_some()).collect();
        assert_eq!(sent, [false, false, true, false, false, true]);
        assert_eq!(pdos.transmit[0].on_event(0, &objects), None);
    }

    #[test]
    fn an_event_pdo_goes_out_on_change_after_its_inhibit_time_and_by_its_timer() {
        let mut objects = mapped(TPDO_COMMUNICATION, TPDO_MAPPING, 255, &[0x6041_0010]);
        objects.set(TPDO_COMMUNICATION, 3, 10);
        objects.set(TPDO_COMMUNICATION, 5, 50);
        let mut pdos = Pdos::compile(&objects);
        let pdo = &mut pdos.transmit[0];
        assert!(pdo.on_event(0, &objects).is_some(), "the first at once");
        objects.set(STATUSWORD, 0, 7);
        assert!(pdo.on_event(999_999, &objects).is_none(), "inhibited");
        assert!(pdo.on_event(1_000_000, &objects).is_some(), "changed");
        assert_eq!(pdo.due_ns(), Some(51_000_000));
        assert!(pdo.on_event(50_999_999, &objects).is_none());
        assert!(pdo.on_event(51_000_000, &objects).is_some(), "event timer");
    }
}
