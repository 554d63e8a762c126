//! The ledger: what was asked for each real-time thread against what the kernel says it has, and
//! what each did since arming that it may not do.
//!
//! A difference (policy, priority, CPU, locked memory, a thread that has ended) is an interlock
//! and, while armed, a fault; allocations, unlisted system calls and page faults are counted and
//! shown. It reads /proc: housekeeping's business, never a real-time thread's.

pub mod since;
pub mod words;

use mechos_operator::{LedgerStatus, ThreadStatus};
use tracing::{info, warn};

use crate::host::grants::{ThreadCounters, ThreadGrant, grant_of_peer, grants};
use crate::host::syscalls;
use crate::host::threads::ThreadPlan;
use since::{Mark, Since};

/// How often the threads are read back, ns.
const CHECK_NS: u64 = 500_000_000;

/// The ledger of one process.
#[derive(Debug, Default)]
pub struct Ledger {
    demanded: bool,
    next_ns: u64,
    /// The guardian's real-time thread as asked for, and its process while it is connected.
    guardian: Option<(ThreadPlan, Option<i32>)>,
    /// Real-time threads that were there once.
    known: Vec<ThreadPlan>,
    differences: Vec<String>,
    warnings: Vec<String>,
    /// Counters when arming was last asked for.
    asked: Vec<Mark>,
    /// Counters at the last arming.
    start: Vec<Mark>,
    /// Counters when it ended.
    end: Option<Vec<Mark>>,
    armed_since_ns: Option<u64>,
    /// Counters as last logged.
    logged: Vec<Mark>,
}

impl Ledger {
    /// A ledger that has read nothing yet. `demanded`: a difference counts ([`Self::is_lost`]).
    #[must_use]
    pub fn new(demanded: bool) -> Self {
        Self { demanded, ..Self::default() }
    }

    /// Also reads back the guardian's real-time thread, while the guardian is connected.
    #[must_use]
    pub fn with_guardian(mut self, plan: ThreadPlan) -> Self {
        self.guardian = Some((plan, None));
        self
    }

    /// The guardian's process, as connected now. A guardian that is gone is no difference of the
    /// ledger: its beat tells sooner.
    pub fn set_guardian(&mut self, pid: Option<i32>) {
        if let Some((_, now)) = self.guardian.as_mut() {
            *now = pid;
        }
    }

    /// Whether arming is refused, or what is armed loses its real time.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.demanded && !self.differences.is_empty()
    }

    /// What differs, a line a thread.
    #[must_use]
    pub fn differences(&self) -> &[String] {
        &self.differences
    }

    /// What this host lacks for the ledger itself.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Reads back now and then; returns whether it did.
    pub fn turn(&mut self, now_ns: u64) -> bool {
        let due = now_ns >= self.next_ns;
        if due {
            self.check(now_ns);
        }
        due
    }

    /// Arming was asked for: everything is read back now, so that arming passes on nothing old.
    pub fn before_arming(&mut self, now_ns: u64) {
        let found = self.check(now_ns);
        self.asked = found.iter().map(Mark::of).collect();
    }

    /// Arming began: violations count from what they were when it was asked for.
    pub fn armed(&mut self, now_ns: u64) {
        self.start = if self.asked.is_empty() {
            grants().iter().map(Mark::of).collect()
        } else {
            std::mem::take(&mut self.asked)
        };
        self.end = None;
        self.armed_since_ns = Some(now_ns);
    }

    /// The machine is armed no longer: faults and switches from here on are no violation.
    pub fn disarmed(&mut self) {
        if self.armed_since_ns.is_some() && self.end.is_none() {
            self.end = Some(grants().iter().map(Mark::of).collect());
        }
    }

    /// The threads as they are at this moment, and the ledger.
    #[must_use]
    pub fn status(&self) -> (Vec<ThreadStatus>, LedgerStatus) {
        let threads: Vec<ThreadStatus> =
            grants().into_iter().map(|grant| words::status(&grant, self.since(&grant))).collect();
        // Ordinary threads may allocate, fault and call what they like.
        let real_time = || threads.iter().filter(|thread| thread.real_time);
        let ledger = LedgerStatus {
            demanded: self.demanded,
            held: self.differences.is_empty(),
            differences: self.differences.clone(),
            armed_since_ns: self.armed_since_ns,
            violations: real_time().map(|t| t.allocations.saturating_add(t.calls_unlisted)).sum(),
            page_faults: real_time().map(|t| t.faults_minor.saturating_add(t.faults_major)).sum(),
        };
        (threads, ledger)
    }

    fn since(&self, grant: &ThreadGrant) -> Since {
        let since = since::between(&self.start, self.end.as_deref(), &Mark::of(grant));
        match self.armed_since_ns {
            Some(_) => since,
            // Faults and switches of the start are of no interest, and no violation.
            None => Since { counters: ThreadCounters::default(), ..since },
        }
    }

    fn check(&mut self, now_ns: u64) -> Vec<ThreadGrant> {
        self.next_ns = now_ns.saturating_add(CHECK_NS);
        let found = grants();
        let guardian = match &self.guardian {
            // One that is there and cannot be read back has nothing of what was asked.
            Some((plan, Some(pid))) => {
                Some(grant_of_peer(*pid, plan).unwrap_or_else(|| ThreadGrant::unread(plan)))
            }
            _ => None,
        };
        self.take(&found, guardian.as_ref());
        found
    }

    /// Compares what was found with what was asked.
    fn take(&mut self, found: &[ThreadGrant], guardian: Option<&ThreadGrant>) {
        let ended = |plan: &&ThreadPlan| !found.iter().any(|grant| grant.asked == **plan);
        let differences: Vec<String> = found
            .iter()
            .chain(guardian)
            .filter_map(words::difference)
            .chain(self.known.iter().filter(ended).map(words::ended))
            .collect();
        for difference in differences.iter().filter(|d| !self.differences.contains(d)) {
            warn!(demanded = self.demanded, "a thread lacks what was asked: {difference}");
        }
        if differences.is_empty() && !self.differences.is_empty() {
            info!("every thread has what was asked");
        }
        self.differences = differences;
        for grant in found.iter().filter(|grant| grant.asked.priority.is_some()) {
            if !self.known.contains(&grant.asked) {
                self.known.push(grant.asked.clone());
            }
        }
        let warnings: Vec<String> = found.iter().filter_map(words::warning).collect();
        for warning in warnings.iter().filter(|warning| !self.warnings.contains(warning)) {
            warn!("{warning}");
        }
        self.warnings = warnings;
        self.log(found);
    }

    /// Writes down what has been counted since the last look.
    fn log(&mut self, found: &[ThreadGrant]) {
        for grant in found {
            let since = since::between(&self.logged, None, &Mark::of(grant));
            let thread = &grant.name;
            if let Some(call) = since.slot.last_call {
                let (count, call) = (since.slot.calls_unlisted, syscalls::name(call));
                warn!(thread, call, count, "a system call that is not on its list was refused");
            }
            if since.slot.allocations > 0 {
                let count = since.slot.allocations;
                warn!(thread, count, "a real-time thread used the heap while armed");
            }
        }
        self.logged = found.iter().map(Mark::of).collect();
    }
}

#[cfg(test)]
mod tests;
