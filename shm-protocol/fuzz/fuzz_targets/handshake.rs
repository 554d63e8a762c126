//! Any bytes as a message of the handshakes. The first byte says how many of the first three words are
//! made those of this version, which no fuzzer would guess.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shm_protocol::fuzzing;
use shm_protocol::layout::{LAYOUT_HASH, MAGIC, VERSION};
use shm_protocol_fuzz::words;

fuzz_target!(|bytes: &[u8]| {
    let Some((right, bytes)) = bytes.split_first() else { return };
    let mut message = [0; 8];
    message.iter_mut().zip(words(bytes)).for_each(|(to, from)| *to = from);
    for (word, value) in
        message.iter_mut().zip([MAGIC, VERSION, LAYOUT_HASH]).take(usize::from(right % 4))
    {
        *word = value;
    }
    assert!(fuzzing::message_settles(&message));
});
