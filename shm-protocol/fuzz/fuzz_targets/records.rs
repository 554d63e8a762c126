//! Any words as each of the records: decoding is total, and says what encoding says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shm_protocol::fuzzing;
use shm_protocol_fuzz::words;

fuzz_target!(|bytes: &[u8]| assert!(fuzzing::records_settle(&words(bytes))));
