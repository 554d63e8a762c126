//! The C header against this crate: a C compiler says where each field lies, the codecs say what they
//! write there, and every number that the header names is compared.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

#[path = "../common/mod.rs"]
mod common;

mod c;
mod numbers;

use std::mem::offset_of;
use std::sync::atomic::AtomicU64;

use c::Fields;
use common::*;
use shm_protocol::codec;
use shm_protocol::layout::{FencePage, HeartbeatPage, IntentPage, TelemetryPage};
use shm_protocol::records::*;

/// The kinds of an intent: name and number in the header, and the value.
const INTENT_KINDS: [(&str, u64, IntentKind); 4] = [
    ("MOVE_JOINTS", 1, IntentKind::MoveJoints),
    ("HOLD", 2, IntentKind::Hold),
    ("STOP", 3, IntentKind::Stop),
    ("ESTOP", 4, IntentKind::EStop),
];

/// The header, compiled.
fn header() -> Fields {
    let directory = Directory::new();
    c::compile(&directory.path(""), &numbers::all())
}

/// A record as this crate writes it, read by the fields of a struct of the header.
struct Record<'a> {
    fields: &'a Fields,
    name: &'a str,
    bytes: Vec<u8>,
}

impl<'a> Record<'a> {
    fn new(fields: &'a Fields, name: &'a str, words: &[u64]) -> Self {
        Self { fields, name, bytes: words.iter().flat_map(|word| word.to_le_bytes()).collect() }
    }

    /// The bytes of a field.
    fn bytes(&self, field: &str) -> &[u8] {
        let (offset, size) = self.fields.place(&format!("{}.{field}", self.name));
        &self.bytes[offset..][..size]
    }

    /// The number in a field, of as many bytes as it has.
    fn number(&self, field: &str) -> u64 {
        little(self.bytes(field))
    }

    fn double(&self, field: &str) -> f64 {
        f64::from_bits(self.number(field))
    }

    fn doubles(&self, field: &str) -> Vec<f64> {
        self.bytes(field).chunks(8).map(|eight| f64::from_bits(little(eight))).collect()
    }

    fn singles(&self, field: &str) -> Vec<f32> {
        let single = |four| f32::from_bits(u32::try_from(little(four)).unwrap());
        self.bytes(field).chunks(4).map(single).collect()
    }

    /// The elements of a field that is an array of structs.
    fn elements(&self, field: &str, element: &'a str) -> Vec<Record<'a>> {
        let bytes = self.bytes(field);
        let records = bytes.chunks(bytes.len() / AXES_MAX);
        records
            .map(|bytes| Record { fields: self.fields, name: element, bytes: bytes.into() })
            .collect()
    }
}

fn little(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[test]
fn the_header_says_what_this_crate_does() {
    assert_eq!(c::constants(), numbers::all().into_keys().collect());
    let fields = header();
    pages(&fields);
    intents(&fields);
    verdicts(&fields);
    events(&fields);
    all_telemetry(&fields);
    descriptions(&fields);
    beats_and_messages(&fields);
    fields.all_were_asked_for();
}

fn pages(fields: &Fields) {
    type I = IntentPage<AtomicU64>;
    type T = TelemetryPage<AtomicU64>;
    type H = HeartbeatPage<AtomicU64>;
    type F = FencePage<AtomicU64>;
    let line = 128;
    for (name, offset, size) in [
        // The words of a header, by the README's table; tests/bytes.rs reads them there.
        ("header.magic", 0, 8),
        ("header.version", 8, 8),
        ("header.layout", 16, 8),
        ("header.generation", 24, 8),
        ("header.kind", 32, 8),
        ("line.word", 0, 8),
        ("intent_page.header", offset_of!(I, header), line),
        ("intent_page.heartbeat", offset_of!(I, heartbeat), line),
        ("intent_page.stops", offset_of!(I, stops), line),
        ("intent_page.estops", offset_of!(I, estops), line),
        ("intent_page.submitted", offset_of!(I, submitted), line),
        ("intent_page.returned", offset_of!(I, returned), line),
        ("intent_page.verdicts_read", offset_of!(I, verdicts_read), line),
        ("intent_page.intents", offset_of!(I, intents), size_of::<I>() - offset_of!(I, intents)),
        ("telemetry_page.header", offset_of!(T, header), line),
        ("telemetry_page.intents_read", offset_of!(T, intents_read), line),
        ("telemetry_page.newest", offset_of!(T, newest), line),
        ("telemetry_page.events_written", offset_of!(T, events_written), line),
        (
            "telemetry_page.description",
            offset_of!(T, description),
            offset_of!(T, telemetry) - offset_of!(T, description),
        ),
        (
            "telemetry_page.telemetry",
            offset_of!(T, telemetry),
            offset_of!(T, verdicts) - offset_of!(T, telemetry),
        ),
        (
            "telemetry_page.verdicts",
            offset_of!(T, verdicts),
            offset_of!(T, events) - offset_of!(T, verdicts),
        ),
        ("telemetry_page.events", offset_of!(T, events), size_of::<T>() - offset_of!(T, events)),
        ("heartbeat_page.header", offset_of!(H, header), line),
        ("heartbeat_page.newest", offset_of!(H, newest), line),
        ("heartbeat_page.beats", offset_of!(H, beats), size_of::<H>() - offset_of!(H, beats)),
        ("fence_page.header", offset_of!(F, header), line),
        ("fence_page.heartbeat", offset_of!(F, heartbeat), line),
        ("fence_page.since", offset_of!(F, since), line),
        ("fence_page.cause", offset_of!(F, cause), line),
        ("fence_page.proved", offset_of!(F, proved), line),
    ] {
        assert_eq!(fields.place(name), (offset, size), "{name}");
    }
}

fn intents(fields: &Fields) {
    for (name, number, kind) in INTENT_KINDS {
        let sent = Intent {
            kind,
            axes: std::array::from_fn(|axis| AxisRequest {
                position_rad: axis as f64 + 0.5,
                velocity_end_rad_s: axis as f32 + 1.5,
                velocity_peak_rad_s: axis as f32 + 2.5,
                acceleration_peak_rad_s2: axis as f32 + 3.5,
                jerk_peak_rad_s3: axis as f32 + 4.5,
                effort_max_nm: axis as f32 + 5.5,
            }),
            trace: TraceId(std::array::from_fn(|byte| byte as u8 + 1)),
            ..intent(77)
        };
        let mut words = [0; codec::intent::WORDS];
        codec::intent::put(&sent, &mut words);
        let read = Record::new(fields, "intent", &words);
        assert_eq!(read.number("number"), 77);
        assert_eq!(read.number("version"), u64::from(sent.version));
        assert_eq!(read.number("kind"), number, "{name}");
        assert_eq!(read.number("agent"), u64::from(sent.agent));
        assert_eq!(read.number("epoch"), u64::from(sent.epoch));
        assert_eq!(read.number("axes_mask"), u64::from(sent.axes_mask));
        assert_eq!(read.number("issued_ns"), sent.issued_ns);
        assert_eq!(read.number("lease_until_ns"), sent.lease_until_ns);
        assert_eq!(read.bytes("trace"), sent.trace.0);
        assert_eq!(read.doubles("position_rad"), sent.axes.map(|axis| axis.position_rad));
        for (field, of) in [
            ("velocity_end_rad_s", (|axis| axis.velocity_end_rad_s) as fn(AxisRequest) -> f32),
            ("velocity_peak_rad_s", |axis| axis.velocity_peak_rad_s),
            ("acceleration_peak_rad_s2", |axis| axis.acceleration_peak_rad_s2),
            ("jerk_peak_rad_s3", |axis| axis.jerk_peak_rad_s3),
            ("effort_max_nm", |axis| axis.effort_max_nm),
        ] {
            assert_eq!(read.singles(field), sent.axes.map(of), "{field}");
        }
    }
}

fn verdicts(fields: &Fields) {
    let sent = Verdict {
        trace: TraceId(std::array::from_fn(|byte| byte as u8 + 1)),
        cause: Cause::RtLost,
        ..verdict(78)
    };
    let mut words = [0; codec::verdict::WORDS];
    codec::verdict::put(&sent, &mut words);
    let read = Record::new(fields, "verdict", &words);
    assert_eq!(read.number("number"), 78);
    assert_eq!(read.number("kind"), sent.kind as u64);
    assert_eq!(read.number("rule"), sent.rule as u64);
    assert_eq!(read.number("axis"), u64::from(sent.axis));
    assert_eq!(read.number("cause"), sent.cause as u64);
    assert_eq!(read.number("epoch"), u64::from(sent.epoch));
    assert_eq!(read.number("tick"), sent.tick);
    assert_eq!(read.number("decided_ns"), sent.decided_ns);
    assert_eq!(read.bytes("trace"), sent.trace.0);
    assert_eq!(read.double("value"), sent.value);
    assert_eq!(read.double("limit"), sent.limit);
    assert_eq!(read.double("nearest"), sent.nearest);
}

fn events(fields: &Fields) {
    let sent = event(79);
    let mut words = [0; codec::event::WORDS];
    codec::event::put(&sent, &mut words);
    let read = Record::new(fields, "event", &words);
    assert_eq!(read.number("tick"), 79);
    assert_eq!(read.number("time_ns"), sent.time_ns);
    assert_eq!(read.number("kind"), sent.kind as u64);
    assert_eq!(read.number("mode"), sent.mode as u64);
    assert_eq!(read.number("cause"), sent.cause as u64);
    assert_eq!(read.number("detail"), u64::from(sent.detail));
}

fn all_telemetry(fields: &Fields) {
    let sent = Telemetry {
        cause: Cause::DriveLost,
        cause_detail: 21,
        operator_has_control: true,
        counters: IntentCounters {
            accepted: 31,
            clamped: 32,
            refused: 33,
            preempted: 34,
            completed: 35,
            expired: 36,
            aborted: 37,
            active: 38,
        },
        axes: std::array::from_fn(|axis| AxisTelemetry {
            position_rad: axis as f64 + 0.25,
            velocity_rad_s: axis as f64 + 1.25,
            effort_nm: axis as f64 + 2.25,
            setpoint_rad: axis as f64 + 3.25,
            age_ns: axis as u64 + 4,
            state: axis as u8 + 5,
            fault_code: axis as u16 + 0x8600,
        }),
        ..telemetry(80)
    };
    let mut words = [0; codec::telemetry::WORDS];
    codec::telemetry::put(&sent, &mut words);
    let read = Record::new(fields, "telemetry", &words);
    for (field, value) in [
        ("tick", 80),
        ("published_ns", sent.published_ns),
        ("mode", sent.mode as u64),
        ("axis_count", sent.axis_count.into()),
        ("operator_has_control", 1),
        ("cause", sent.cause as u64),
        ("cause_detail", 21),
        ("epoch", sent.epoch.into()),
        ("active_intent", sent.active_intent),
        ("accepted", 31),
        ("clamped", 32),
        ("refused", 33),
        ("preempted", 34),
        ("completed", 35),
        ("expired", 36),
        ("aborted", 37),
        ("active", 38),
    ] {
        assert_eq!(read.number(field), value, "{field}");
    }
    for (read, sent) in read.elements("axes", "axis_telemetry").iter().zip(&sent.axes) {
        assert_eq!(read.double("position_rad"), sent.position_rad);
        assert_eq!(read.double("velocity_rad_s"), sent.velocity_rad_s);
        assert_eq!(read.double("effort_nm"), sent.effort_nm);
        assert_eq!(read.double("setpoint_rad"), sent.setpoint_rad);
        assert_eq!(read.number("age_ns"), sent.age_ns);
        assert_eq!(read.number("state"), u64::from(sent.state));
        assert_eq!(read.number("fault_code"), u64::from(sent.fault_code));
    }
}

fn descriptions(fields: &Fields) {
    let mut sent = description();
    for (axis, own) in sent.axes.iter_mut().enumerate() {
        own.name[0] = axis as u8 + b'A';
        own.home_rad = axis as f64 + 0.125;
    }
    let mut words = [0; codec::description::WORDS];
    codec::description::put(&sent, &mut words);
    let read = Record::new(fields, "description", &words);
    assert_eq!(read.bytes("name"), sent.name);
    assert_eq!(read.number("period_ns"), sent.period_ns);
    assert_eq!(read.number("lease_max_ns"), sent.lease_max_ns);
    assert_eq!(read.number("heartbeat_timeout_ns"), sent.heartbeat_timeout_ns);
    assert_eq!(read.number("intents_per_second_max"), u64::from(sent.intents_per_second_max));
    assert_eq!(read.number("axis_count"), u64::from(sent.axis_count));
    for (read, sent) in read.elements("axes", "axis_description").iter().zip(&sent.axes) {
        assert_eq!(read.bytes("name"), sent.name);
        assert_eq!(read.double("position_min_rad"), sent.position_min_rad);
        assert_eq!(read.double("position_max_rad"), sent.position_max_rad);
        assert_eq!(read.double("velocity_max_rad_s"), sent.velocity_max_rad_s);
        assert_eq!(read.double("acceleration_max_rad_s2"), sent.acceleration_max_rad_s2);
        assert_eq!(read.double("jerk_max_rad_s3"), sent.jerk_max_rad_s3);
        assert_eq!(read.double("effort_max_nm"), sent.effort_max_nm);
        assert_eq!(read.double("home_rad"), sent.home_rad);
    }
}

/// What has no codec to ask: by the README's tables, as tests/guardian.rs and the handshakes by hand
/// in common/ use them.
fn beats_and_messages(fields: &Fields) {
    for (name, word, words) in [
        ("beat.tick", 0, 1),
        ("beat.t_ns", 1, 1),
        ("beat.mode", 2, 1),
        ("beat.energised", 3, 1),
        ("message.magic", 0, 1),
        ("message.version", 1, 1),
        ("message.layout", 2, 1),
        ("message.kind", 3, 1),
        ("message.arguments", 4, 3),
    ] {
        assert_eq!(fields.place(name), (8 * word, 8 * words), "{name}");
    }
}
