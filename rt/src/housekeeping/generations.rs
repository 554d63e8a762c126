//! Planners' connections that have ended, and how far a sender's own counts are believed.

use shm_protocol::layout::INTENTS;

/// Intents that a sender may have counted and the ring never showed: it is killed in the middle of one.
const CUT_OFF_MAX: u64 = 1;
/// More than any sender gets back: at ten million a second it takes 300 days.
const RETURNED_MAX: u64 = 1 << 48;

/// What a sender counts, as far as it is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Intents that it tried to submit.
    pub submitted: u64,
    /// Of them returned by a full ring.
    pub returned: u64,
}

/// Takes a sender's two counts if they can be, beside what was taken of it and what waits: neither more
/// lost than a ring and one holds, nor more returned than there is time for. Of a sender that lies only
/// what the ring itself showed counts, so that the sums hold and those of others are not drowned.
pub fn believed(submitted: u64, returned: u64, taken: u64, queued: u64) -> Counts {
    let open = submitted.wrapping_sub(returned).wrapping_sub(taken);
    let may_be = returned <= RETURNED_MAX && open <= INTENTS.slots() + CUT_OFF_MAX;
    match may_be {
        true => Counts { submitted, returned },
        false => Counts { submitted: taken.saturating_add(queued), returned: 0 },
    }
}

/// Planner connections that have ended, added up.
#[derive(Clone, Copy, Debug, Default)]
pub struct OldGenerations {
    /// Intents submitted.
    pub submitted: u64,
    /// Of them returned.
    pub returned: u64,
    /// Of them lost with their connection: neither returned nor taken.
    pub lost: u64,
}

impl OldGenerations {
    /// Adds a connection that has ended.
    pub fn add(&mut self, submitted: u64, returned: u64, taken: u64) {
        let counts = believed(submitted, returned, taken, 0);
        let lost = counts.submitted.saturating_sub(counts.returned).saturating_sub(taken);
        self.submitted = self.submitted.saturating_add(counts.submitted);
        self.returned = self.returned.saturating_add(counts.returned);
        self.lost = self.lost.saturating_add(lost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_neither_taken_nor_returned_is_lost() {
        let mut old = OldGenerations::default();
        old.add(10, 2, 5);
        assert_eq!((old.submitted, old.returned, old.lost), (10, 2, 3));
        old.add(65, 0, 0);
        assert_eq!((old.submitted, old.lost), (75, 68), "a whole ring, and one cut off");
    }

    #[test]
    fn a_sender_that_lies_breaks_no_sum_and_drowns_nobody_elses() {
        let mut old = OldGenerations::default();
        let lies =
            [(0, 7, 5), (u64::MAX, u64::MAX, 5), (u64::MAX, 0, 5), (1 << 63, 3, 5), (0, 0, 5)];
        for (submitted, returned, taken) in lies {
            old.add(submitted, returned, taken);
        }
        assert_eq!((old.submitted, old.returned, old.lost), (25, 0, 0), "what was taken");
        old.add(10, 2, 5);
        assert_eq!((old.submitted, old.returned, old.lost), (35, 2, 3));
    }

    #[test]
    fn a_living_sender_that_lies_has_submitted_what_is_there() {
        assert_eq!(believed(u64::MAX, 9, 5, 64), Counts { submitted: 69, returned: 0 });
        assert_eq!(believed(14, 9, 3, 2), Counts { submitted: 14, returned: 9 });
    }
}
