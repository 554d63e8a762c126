//! Decide: the thread that runs the planner. One situation goes in, one decision comes out.

use std::io;
use std::thread::Builder;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::planner::{Decision, Planner, Situation};

/// The planner's thread has ended, which it never does by itself: the planner panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the planner's thread has ended (it panicked; the lines above say where)")]
pub struct PlannerGone;

/// Which situation a decision answers; counted through the life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn(u64);

/// The hand-over to the planner's thread. It outlives connections: a planner keeps its memory,
/// and what it decides for an old connection is told apart by its [`Turn`].
#[derive(Debug)]
pub struct Decider {
    situations: Sender<(Turn, Box<Situation>)>,
    decisions: Receiver<(Turn, Decision)>,
    turns: u64,
    thinking: bool,
}

impl Decider {
    /// Starts the planner's thread. It is never joined: a call to a model may be under way when
    /// the process ends, and nothing waits for it.
    ///
    /// # Errors
    /// The thread could not be started.
    pub fn start(mut planner: Box<dyn Planner>) -> io::Result<Self> {
        let (situations, inbox) = bounded::<(Turn, Box<Situation>)>(1);
        let (outbox, decisions) = bounded(1);
        Builder::new().name("decide".into()).spawn(move || {
            for (turn, situation) in inbox {
                let decision = planner.decide(&situation);
                if outbox.send((turn, decision)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { situations, decisions, turns: 0, thinking: false })
    }

    /// Whether the planner has a situation before it.
    pub fn is_thinking(&self) -> bool {
        self.thinking
    }

    /// Puts a situation before the planner. Only when it is not thinking; otherwise it is left
    /// out and `None` comes back.
    ///
    /// # Errors
    /// [`PlannerGone`].
    pub fn put(&mut self, situation: Situation) -> Result<Option<Turn>, PlannerGone> {
        if self.thinking {
            return Ok(None);
        }
        self.turns += 1;
        let turn = Turn(self.turns);
        self.situations.try_send((turn, Box::new(situation))).map_err(|_| PlannerGone)?;
        self.thinking = true;
        Ok(Some(turn))
    }

    /// Waits for a decision, at the most this long.
    ///
    /// # Errors
    /// [`PlannerGone`].
    pub fn take(&mut self, wait: Duration) -> Result<Option<(Turn, Decision)>, PlannerGone> {
        match self.decisions.recv_timeout(wait) {
            Ok(decided) => {
                self.thinking = false;
                Ok(Some(decided))
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(PlannerGone),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake;

    struct Panics;
    impl Planner for Panics {
        fn name(&self) -> &'static str {
            "panics"
        }
        fn decide(&mut self, _: &Situation) -> Decision {
            panic!("on purpose")
        }
    }

    #[test]
    fn a_planner_that_panics_is_noticed() {
        let mut decider = Decider::start(Box::new(Panics)).unwrap();
        assert!(decider.put(fake::situation(1)).unwrap().is_some());
        assert_eq!(decider.take(Duration::from_secs(30)), Err(PlannerGone));
    }

    struct Waits;
    impl Planner for Waits {
        fn name(&self) -> &'static str {
            "waits"
        }
        fn decide(&mut self, _: &Situation) -> Decision {
            Decision::Wait { for_ns: 7 }
        }
    }

    #[test]
    fn one_situation_at_a_time_and_the_turn_comes_back() {
        let mut decider = Decider::start(Box::new(Waits)).unwrap();
        let turn = decider.put(fake::situation(1)).unwrap().unwrap();
        assert_eq!(decider.put(fake::situation(1)).unwrap(), None);
        let decided = decider.take(Duration::from_secs(30)).unwrap().unwrap();
        assert_eq!(decided, (turn, Decision::Wait { for_ns: 7 }));
        assert!(!decider.is_thinking());
    }
}
