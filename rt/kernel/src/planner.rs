//! The planner's side as the kernel remembers it: its connection, its stop words, its loss.

use crate::config::Config;
use crate::gate::Memory;
use crate::io::Link;

/// What is known of the planner's connection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlannerWatch {
    generation: u32,
    stops: u64,
    estops: u64,
    /// The connection whose loss reacts: the one that was alive while Armed in this epoch.
    relied_on: Option<u32>,
    /// What the gate remembers of this connection.
    pub memory: Memory,
}

/// Which stop words moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pressed {
    /// The stop word.
    pub stop: bool,
    /// The emergency-stop word.
    pub estop: bool,
}

impl PlannerWatch {
    /// Looks at the link. A new connection starts its words and numbers at zero, so that a word
    /// that moved before the kernel first saw it still counts. Words that read zero without a
    /// connection belong to no page.
    pub fn look(&mut self, link: &Link) -> Pressed {
        if link.generation != self.generation {
            (self.generation, self.stops, self.estops) = (link.generation, 0, 0);
            // The rate is kept: a new connection does not buy a new second's worth.
            self.memory.last_number = 0;
        }
        let moved = |known: &mut u64, word: u64| {
            let moved = *known != word && (link.connected || word != 0);
            *known = word;
            moved
        };
        let stop = moved(&mut self.stops, link.stops);
        Pressed { stop, estop: moved(&mut self.estops, link.estops) }
    }

    fn is_alive(config: &Config, link: &Link) -> bool {
        link.connected && link.heartbeat_age_ns <= config.budgets.cognition_heartbeat_ns
    }

    /// Whether the connection that was relied on is gone.
    pub fn is_lost(&self, config: &Config, link: &Link) -> bool {
        self.relied_on.is_some_and(|generation| {
            generation != link.generation || !PlannerWatch::is_alive(config, link)
        })
    }

    /// While Armed: from now on a living connection's loss reacts.
    pub fn rely(&mut self, config: &Config, link: &Link) {
        if self.relied_on.is_none() && link.generation != 0 && PlannerWatch::is_alive(config, link)
        {
            self.relied_on = Some(link.generation);
        }
    }

    /// A new epoch, or a loss that was answered: nothing is relied on until one is alive again.
    pub fn forget(&mut self) {
        self.relied_on = None;
    }
}
