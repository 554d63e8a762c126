//! What the guardian says of itself: asked of every guardian that connects, and again at a bounded
//! rate until it has said all of it. On housekeeping's thread, and never while drives may move.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mechos_operator::{Client, GuardianStatus};
use mechos_robot::certificate::{GUARDIAN_ASKED_EVERY_S, GuardianFacts};

/// How long the guardian may take to answer. Housekeeping does nothing else meanwhile.
const ASK_MAX: Duration = Duration::from_millis(300);
/// Between two questions to the same guardian, ns.
const ASK_EVERY_NS: u64 = GUARDIAN_ASKED_EVERY_S * 1_000_000_000;

/// What one guardian has said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// What it runs.
    pub facts: GuardianFacts,
    /// Its options that take away what a report tried.
    pub weakened_by: Vec<String>,
}

/// The questions to the guardian.
#[derive(Default)]
pub struct Inquiry {
    socket: PathBuf,
    /// Every bus is simulated: faults are injected there without any option.
    simulated: bool,
    pid: Option<i32>,
    next_ns: u64,
    said: Said,
}

impl Inquiry {
    /// Nobody has been asked yet.
    pub fn new(socket: PathBuf, simulated: bool) -> Inquiry {
        Inquiry { socket, simulated, ..Inquiry::default() }
    }

    /// What is known of the guardian that is connected.
    pub fn said(&self) -> &Said {
        &self.said
    }

    /// Asks the guardian with this process, if it is due; returns whether something else is known
    /// now.
    pub fn turn(
        &mut self,
        pid: Option<i32>,
        now_ns: u64,
        ask: impl FnOnce(&Path) -> Option<GuardianStatus>,
    ) -> bool {
        let forgot = self.notice(pid);
        if self.pid.is_none() || self.said.facts.is_known() || now_ns < self.next_ns {
            return forgot;
        }
        self.next_ns = now_ns.saturating_add(ASK_EVERY_NS);
        let Some(status) = ask(&self.socket) else { return forgot };
        let said = self.said_by(status);
        let changed = said != self.said;
        self.said = said;
        forgot || changed
    }

    /// Another guardian runs another binary and has loaded another file, perhaps: what the one
    /// before it said is forgotten. Returns whether there was something to forget.
    pub fn notice(&mut self, pid: Option<i32>) -> bool {
        if pid == self.pid {
            return false;
        }
        (self.pid, self.next_ns) = (pid, 0);
        std::mem::take(&mut self.said) != Said::default()
    }

    fn said_by(&self, status: GuardianStatus) -> Said {
        let options = [
            (status.disabled, "mechos-guardian --disable-stop guardian"),
            (status.faults_allowed && !self.simulated, "mechos-guardian --allow-faults"),
        ];
        let given = options.into_iter().filter(|(is_given, _)| *is_given);
        let facts = GuardianFacts {
            binary_sha256: status.binary_sha256,
            config_sha256: status.config_sha256,
        };
        Said { facts, weakened_by: given.map(|(_, option)| option.to_owned()).collect() }
    }
}

/// From the guardian itself: another process' program cannot be read where it has capabilities.
pub fn ask(socket: &Path) -> Option<GuardianStatus> {
    Client::connect(socket, ASK_MAX).ok()?.guardian_status().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(binary: Option<&str>) -> Option<GuardianStatus> {
        Some(GuardianStatus {
            binary_sha256: binary.map(ToOwned::to_owned),
            config_sha256: Some("c".to_owned()),
            faults_allowed: true,
            ..GuardianStatus::default()
        })
    }

    #[test]
    fn a_guardian_that_does_not_answer_is_asked_again_and_not_more_often_than_that() {
        let mut inquiry = Inquiry::new(PathBuf::new(), true);
        let mut asked = 0;
        for now_ns in (0..=2 * ASK_EVERY_NS).step_by(5_000_000) {
            let changed = inquiry.turn(Some(7), now_ns, |_| {
                asked += 1;
                None
            });
            assert!(!changed);
        }
        assert_eq!(asked, 3);
        assert!(inquiry.turn(Some(7), 3 * ASK_EVERY_NS, |_| status(None)));
        assert!(!inquiry.said().facts.is_known());
        assert!(inquiry.turn(Some(7), 4 * ASK_EVERY_NS, |_| status(Some("g"))));
        assert!(inquiry.said().facts.is_known());
        assert!(!inquiry.turn(Some(7), u64::MAX, |_| panic!("asked what is known")));
    }

    #[test]
    fn nobody_is_asked_where_nobody_is_connected() {
        let mut inquiry = Inquiry::new(PathBuf::new(), true);
        assert!(!inquiry.turn(None, 0, |_| panic!("asked nobody")));
    }

    #[test]
    fn another_guardian_is_asked_at_once_and_what_the_one_before_said_is_forgotten() {
        let mut inquiry = Inquiry::new(PathBuf::new(), true);
        assert!(inquiry.turn(Some(7), 0, |_| status(Some("g"))));
        assert!(inquiry.notice(Some(8)));
        assert_eq!(*inquiry.said(), Said::default());
        assert!(inquiry.turn(Some(8), 1, |_| status(Some("h"))));
        assert_eq!(inquiry.said().facts.binary_sha256.as_deref(), Some("h"));
        assert!(inquiry.turn(None, 2, |_| None));
    }

    #[test]
    fn a_guardian_that_is_switched_off_or_takes_faults_on_a_real_bus_is_named() {
        let weakened = |simulated, disabled| {
            let mut inquiry = Inquiry::new(PathBuf::new(), simulated);
            inquiry.turn(Some(7), 0, |_| {
                status(Some("g")).map(|status| GuardianStatus { disabled, ..status })
            });
            inquiry.said().weakened_by.clone()
        };
        assert_eq!(weakened(true, false), Vec::<String>::new());
        assert_eq!(weakened(true, true), ["mechos-guardian --disable-stop guardian"]);
        assert_eq!(weakened(false, false), ["mechos-guardian --allow-faults"]);
    }
}
