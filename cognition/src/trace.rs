//! Trace ids as in W3C Trace Context: one per decision, from the model's call to the frame.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

use shm_protocol::records::TraceId;

/// Makes trace ids that do not repeat within a process and hardly ever between two.
///
/// The standard library keys its hashers from the operating system's random source; hashing a
/// count under two such keys gives 128 bits. Nothing here needs to resist guessing.
#[derive(Debug, Default)]
pub struct Traces {
    high: RandomState,
    low: RandomState,
    count: u64,
}

impl Traces {
    /// The next id, never all zero.
    pub fn next_id(&mut self) -> TraceId {
        self.count = self.count.wrapping_add(1);
        let high = u128::from(self.high.hash_one(self.count));
        let low = u128::from(self.low.hash_one(self.count));
        TraceId(((high << 64) | low).max(1).to_be_bytes())
    }
}

/// A trace id as 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug)]
pub struct Hex(pub TraceId);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The `traceparent` header of a call made under this trace (W3C Trace Context, version 00,
/// sampled). The caller's span is the trace's own lower half.
pub fn traceparent(trace: TraceId) -> String {
    let span = u64::try_from(u128::from_be_bytes(trace.0) & u128::from(u64::MAX)).unwrap_or(1);
    format!("00-{}-{:016x}-01", Hex(trace), span.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_differ_and_are_never_zero() {
        let mut traces = Traces::default();
        let ids: HashSet<TraceId> = (0..1000).map(|_| traces.next_id()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(!ids.contains(&TraceId([0; 16])));
    }

    #[test]
    fn the_header_has_the_form_of_the_recommendation() {
        let mut bytes = [0x11; 16];
        bytes[0] = 0x0a;
        let header = traceparent(TraceId(bytes));
        assert_eq!(header, "00-0a111111111111111111111111111111-1111111111111111-01");
    }
}
