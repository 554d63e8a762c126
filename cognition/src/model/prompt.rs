//! What the model is told: who it is, what the machine is and does, and what became of its
//! earlier answers. The history is bounded in turns and in bytes.

use std::collections::VecDeque;

use serde_json::{Value, json};

use crate::machine::Machine;
use crate::planner::Situation;
use crate::words;

/// Turns kept at the most.
pub const TURNS_MAX: usize = 8;
/// Bytes kept at the most of one answer.
pub const ANSWER_BYTES_MAX: usize = 2048;
/// Bytes of a task at the most.
pub const TASK_BYTES_MAX: usize = 4096;

/// One exchange: what was put to the model and what it answered.
#[derive(Clone, Debug)]
struct Turn {
    put: String,
    answered: String,
}

/// The conversation so far.
#[derive(Clone, Debug, Default)]
pub struct History {
    turns: VecDeque<Turn>,
}

impl History {
    /// Keeps an exchange; the oldest goes when there are too many.
    pub fn keep(&mut self, put: String, answered: &str) {
        let answered = words::excerpt(answered, ANSWER_BYTES_MAX);
        self.turns.push_back(Turn { put, answered });
        while self.turns.len() > TURNS_MAX {
            self.turns.pop_front();
        }
    }

    /// The messages of the next call: roles alternate, as some models' templates demand.
    pub fn messages(&self, system: &str, now: &str) -> Value {
        let mut messages = vec![json!({"role": "system", "content": system})];
        for turn in &self.turns {
            messages.push(json!({"role": "user", "content": turn.put}));
            messages.push(json!({"role": "assistant", "content": turn.answered}));
        }
        messages.push(json!({"role": "user", "content": now}));
        Value::Array(messages)
    }
}

/// The standing instructions for one machine and task.
pub fn system(machine: &Machine, task: &str) -> String {
    let mut text = format!(
        "You move the robot {:?} by answering with one JSON object of the given schema, and \
         nothing else. Each answer is checked by a safety gate, which refuses what is past a limit \
         and says why. An answer is carried out before you are asked again.\n\
         Actions: move_joints (give axes by name: position_rad, and velocity_rad_s or null; they \
         arrive together), hold (stay at rest), stop (power off; a person must reset it).\n\
         Axes:\n",
        machine.name
    );
    for axis in &machine.axes {
        text.push_str(&format!(
            "- {}: {} to {} rad, at most {} rad/s, home {} rad\n",
            axis.name,
            words::number(axis.position_min_rad),
            words::number(axis.position_max_rad),
            words::number(axis.velocity_max_rad_s),
            words::number(axis.home_rad)
        ));
    }
    text.push_str("Stay clear of the limits: an axis must be able to stop before them.\nTask: ");
    text.push_str(&words::excerpt(task, TASK_BYTES_MAX));
    text
}

/// The present situation, after what became of the last answer.
pub fn situation(situation: &Situation, refused: Option<&str>) -> String {
    let mut text = String::new();
    if let Some(why) = refused {
        text.push_str(&format!("Your last answer was refused and nothing was done: {why}\n"));
    } else if let Some(outcome) = &situation.outcome {
        let outcome = words::outcome(&situation.machine, outcome);
        text.push_str(&format!("What became of your last answer: {outcome}\n"));
    }
    text.push_str("Positions now:");
    for (axis, now) in situation.machine.axes.iter().zip(&situation.telemetry.axes) {
        text.push_str(&format!(" {} {} rad;", axis.name, words::number(now.position_rad)));
    }
    text.push_str(" What next?");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake;
    use crate::planner::Outcome;
    use shm_protocol::records::{Rule, VerdictKind};

    #[test]
    fn the_history_is_bounded_and_roles_alternate() {
        let mut history = History::default();
        for turn in 0..1000 {
            history.keep(format!("put {turn}"), &"x".repeat(100_000));
        }
        let messages = history.messages("system", "now");
        let messages = messages.as_array().unwrap();
        assert_eq!(messages.len(), 2 * TURNS_MAX + 2);
        for pair in messages.windows(2) {
            assert_ne!(pair[0]["role"], pair[1]["role"]);
        }
        let size: usize = messages.iter().map(|m| m.to_string().len()).sum();
        assert!(size < TURNS_MAX * (ANSWER_BYTES_MAX + 200) + 1000, "{size}");
        assert_eq!(messages[1]["content"], "put 992", "the newest are kept");
    }

    #[test]
    fn a_verdict_comes_back_in_words() {
        let mut now = fake::situation(2);
        let mut verdict = fake::verdict(1, VerdictKind::Refused);
        verdict.rule = Rule::Stoppable;
        verdict.axis = 0;
        verdict.value = 1.5;
        verdict.limit = 1.1;
        verdict.nearest = 1.05;
        now.outcome = Some(Outcome::Refused(verdict));
        let text = situation(&now, None);
        for part in ["stoppable", "axis0", "1.5 rad/s", "limit 1.1", "nearest admissible 1.05"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(situation(&now, Some("no JSON")).contains("refused and nothing was done: no JSON"));
    }
}
