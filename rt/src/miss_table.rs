//! Misses counted by kind and cause at once, so that the causes always add up to the misses.

use std::sync::atomic::{AtomicU64, Ordering};

use mechos_operator::{MissCauses, Misses};

use crate::miss_cause::MissCause;
use crate::schedule::Miss;

const KINDS: usize = 3;
const CAUSES: usize = 6;

/// One counter a kind and cause. Writers: the control thread and the bus threads, by addition.
#[derive(Debug, Default)]
pub struct MissTable([[AtomicU64; CAUSES]; KINDS]);

impl MissTable {
    /// Counts a miss. Real time, any thread.
    pub fn count(&self, miss: Miss, cause: MissCause) {
        if let Some(word) = self.0.get(miss as usize).and_then(|row| row.get(cause as usize)) {
            word.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The sums by kind and by cause, of one reading.
    pub fn sums(&self) -> (Misses, MissCauses) {
        let (mut misses, mut causes) = (Misses::default(), MissCauses::default());
        let kinds = [Miss::LateWake, Miss::LateCompute, Miss::LateSend];
        for (kind, row) in kinds.into_iter().zip(&self.0) {
            for (cause, word) in MissCause::ALL.into_iter().zip(row) {
                let count = word.load(Ordering::Relaxed);
                *match kind {
                    Miss::LateWake => &mut misses.late_wake,
                    Miss::LateCompute => &mut misses.late_compute,
                    Miss::LateSend => &mut misses.late_send,
                } += count;
                *match cause {
                    MissCause::PageFault => &mut causes.page_fault,
                    MissCause::Blocked => &mut causes.blocked,
                    MissCause::InvoluntarySwitch => &mut causes.involuntary_switch,
                    MissCause::Steal => &mut causes.steal,
                    MissCause::Bus => &mut causes.bus,
                    MissCause::OwnStage => &mut causes.own_stage,
                } += count;
            }
        }
        (misses, causes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_and_cause_is_counted_where_it_belongs() {
        let table = MissTable::default();
        for cause in MissCause::ALL {
            table.count(Miss::LateWake, cause);
            table.count(Miss::LateCompute, cause);
        }
        table.count(Miss::LateSend, MissCause::Bus);
        table.count(Miss::LateCompute, MissCause::Blocked);
        let (misses, causes) = table.sums();
        assert_eq!((misses.late_wake, misses.late_compute, misses.late_send), (6, 7, 1));
        assert_eq!((causes.bus, causes.blocked, causes.steal), (3, 3, 2));
        assert_eq!((causes.own_stage, causes.page_fault, causes.involuntary_switch), (2, 2, 2));
        assert_eq!(misses.total(), causes.total());
    }
}
