//! The simulated bus' datagrams: what is written is read again, and any bytes are a message or an
//! error.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use arrayvec::{ArrayString, ArrayVec};
use hal::bus::{Filter, Received};
use hal::canopen::{emcy, heartbeat};
use hal::cia402::objects;
use hal::frame::{Frame, FrameKind};
use hal::simbus::wire::{
    ClientMessage, DATAGRAM_MAX, MAGIC, Refusal, SimMessage, VERSION, WireError,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn frames() -> impl Strategy<Value = Frame> {
    let kinds = prop_oneof![
        Just(FrameKind::Data),
        Just(FrameKind::Remote),
        Just(FrameKind::Fd),
        Just(FrameKind::Error)
    ];
    (any::<u32>(), kinds, any::<bool>(), vec(any::<u8>(), 0..=64)).prop_filter_map(
        "no such frame",
        |(id, kind, extended, mut data)| {
            let id = id & if extended { 0x1FFF_FFFF } else { 0x7FF };
            if kind != FrameKind::Fd {
                data.truncate(8);
            }
            if kind == FrameKind::Remote {
                data.fill(0);
            }
            Frame::build(id, kind, extended, &data).ok()
        },
    )
}

fn client_messages() -> impl Strategy<Value = ClientMessage> {
    let filters = vec((any::<u32>(), any::<u32>()), 0..=16);
    let hello = ("[a-z0-9.]{0,32}", filters).prop_map(|(name, filters)| ClientMessage::Hello {
        name: ArrayString::from(&name).unwrap(),
        filters: filters
            .into_iter()
            .map(|(id, mask)| Filter { id, mask })
            .collect::<ArrayVec<_, 16>>(),
    });
    prop_oneof![hello, frames().prop_map(ClientMessage::Send)]
}

fn sim_messages() -> impl Strategy<Value = SimMessage> {
    let refusals = prop_oneof![
        Just(Refusal::Version),
        Just(Refusal::Full),
        Just(Refusal::NoHello),
        Just(Refusal::User)
    ];
    prop_oneof![
        Just(SimMessage::Welcome),
        refusals.prop_map(SimMessage::Refused),
        any::<u32>().prop_map(|count| SimMessage::Dropped { count }),
        (frames(), any::<u64>(), any::<bool>()).prop_map(|(frame, time_ns, echo)| {
            SimMessage::Received(Received { frame, time_ns, echo })
        }),
    ]
}

proptest! {
    #[test]
    fn what_a_client_writes_is_read_again(message in client_messages()) {
        let mut buffer = [0; DATAGRAM_MAX];
        prop_assert_eq!(ClientMessage::decode(message.encode(&mut buffer)), Ok(message));
    }

    #[test]
    fn what_the_simulator_writes_is_read_again(message in sim_messages()) {
        let mut buffer = [0; DATAGRAM_MAX];
        prop_assert_eq!(SimMessage::decode(message.encode(&mut buffer)), Ok(message));
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes in vec(any::<u8>(), 0..400)) {
        let _ = ClientMessage::decode(&bytes);
        let _ = SimMessage::decode(&bytes);
    }

    #[test]
    fn a_changed_datagram_is_read_as_itself_or_refused(
        message in client_messages(), at in 0..DATAGRAM_MAX, byte in any::<u8>(), cut in 0..DATAGRAM_MAX,
    ) {
        let mut buffer = [0; DATAGRAM_MAX];
        let mut bytes = message.encode(&mut buffer).to_vec();
        if let Some(changed) = bytes.get_mut(at) {
            *changed = byte;
        }
        bytes.truncate(cut.max(1));
        if let Ok(message) = ClientMessage::decode(&bytes) {
            // Whatever was read says the same when it is written again (a name's unused bytes
            // are not part of it).
            let mut buffer = [0; DATAGRAM_MAX];
            prop_assert_eq!(ClientMessage::decode(message.encode(&mut buffer)), Ok(message.clone()));
        }
    }

    #[test]
    fn frames_of_the_bus_are_read_by_every_decoder_without_panic(frame in frames(), node in any::<u8>()) {
        let _ = heartbeat::decode(&frame, node);
        let _ = emcy::decode(&frame, node);
        let _ = objects::decode_status(&frame, node);
        let _ = objects::decode_motion(&frame, node);
        let _ = (frame.worst_case_bits(), format!("{frame:?}"));
    }
}

#[test]
fn another_version_or_direction_is_named() {
    let mut buffer = [0; DATAGRAM_MAX];
    let bytes = SimMessage::Welcome.encode(&mut buffer).to_vec();
    assert_eq!(bytes[..4], MAGIC.to_le_bytes());
    assert_eq!(ClientMessage::decode(&bytes), Err(WireError::Type(16)));
    let mut other = bytes.clone();
    other[4] = u8::try_from(VERSION).unwrap() + 1;
    assert_eq!(SimMessage::decode(&other), Err(WireError::Version(VERSION + 1)));
    let mut long = bytes;
    long.push(0);
    assert_eq!(SimMessage::decode(&long), Err(WireError::Length { len: 9 }));
}
