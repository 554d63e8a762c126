//! The model planner: asks an OpenAI-compatible endpoint, and trusts nothing that it answers.

pub mod answer;
pub mod endpoint;
pub mod key;
mod prompt;

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use tracing::{info, warn};

use crate::clock::{MILLISECOND_NS, SECOND_NS};
use crate::machine::Machine;
use crate::planner::{Decision, Planner, Situation};
use crate::trace::Hex;
use crate::words;
use endpoint::Endpoint;
use prompt::History;

/// First pause after a call without an answer, ns; it doubles up to [`PAUSE_MAX_NS`].
const PAUSE_MIN_NS: u64 = 500 * MILLISECOND_NS;
/// Longest pause after a call without an answer, ns.
const PAUSE_MAX_NS: u64 = 10 * SECOND_NS;
/// Pause after an answer that was refused here, ns: a model that talks nonsense at full speed
/// costs no CPU.
const NONSENSE_PAUSE_NS: u64 = 100 * MILLISECOND_NS;
/// Bytes of an answer that the log shows.
const LOGGED_BYTES_MAX: usize = 400;

/// See the module.
#[derive(Debug)]
pub struct Model {
    endpoint: Endpoint,
    name: String,
    task: String,
    robot: Option<Robot>,
    history: History,
    refused: Option<String>,
    /// The situation's outcome when the call that was to tell of it failed.
    untold: Option<crate::planner::Outcome>,
    pause_ns: u64,
}

/// What is said of one machine in every call.
#[derive(Debug)]
struct Robot {
    machine: Arc<Machine>,
    system: String,
    schema: Value,
}

impl Model {
    /// A planner that asks the model `name` at an endpoint for the steps of a task.
    pub fn new(endpoint: Endpoint, name: String, task: String) -> Self {
        Self {
            endpoint,
            name,
            task,
            robot: None,
            history: History::default(),
            refused: None,
            untold: None,
            pause_ns: PAUSE_MIN_NS,
        }
    }

    fn robot(&mut self, machine: &Arc<Machine>) -> Robot {
        match self.robot.take() {
            Some(robot) if *robot.machine == **machine => robot,
            _ => {
                self.history = History::default();
                self.refused = None;
                Robot {
                    machine: machine.clone(),
                    system: prompt::system(machine, &self.task),
                    schema: answer::schema(machine),
                }
            }
        }
    }

    fn body(&self, robot: &Robot, put: &str) -> Value {
        json!({
            "model": self.name,
            "messages": self.history.messages(&robot.system, put),
            "stream": false,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "robot_intent", "schema": robot.schema, "strict": true},
            },
        })
    }

    fn ask(&mut self, robot: &Robot, situation: &Situation) -> Decision {
        let trace = situation.trace;
        let put = prompt::situation(situation, self.refused.as_deref());
        let begun = Instant::now();
        let text = match self.endpoint.call(&self.body(robot, &put), trace) {
            Ok(text) => text,
            Err(error) => return self.no_answer(situation, &error),
        };
        self.pause_ns = PAUSE_MIN_NS;
        self.refused = None;
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let shown = words::excerpt(&text, LOGGED_BYTES_MAX);
        info!(trace = %Hex(trace), took_ms, answer = ?shown, "the model has answered");
        self.history.keep(put, &text);
        match answer::read(&robot.machine, &text) {
            Ok(request) => Decision::Ask(request),
            Err(error) => {
                warn!(trace = %Hex(trace), %error, "the answer is refused; the model is told");
                self.refused = Some(error.to_string());
                Decision::Wait { for_ns: NONSENSE_PAUSE_NS }
            }
        }
    }

    fn no_answer(&mut self, situation: &Situation, error: &endpoint::CallError) -> Decision {
        let pause_ns = self.pause_ns;
        self.pause_ns = pause_ns.saturating_mul(2).min(PAUSE_MAX_NS);
        self.untold = situation.outcome.clone();
        let retry_ms = pause_ns / MILLISECOND_NS;
        warn!(
            trace = %Hex(situation.trace), uri = self.endpoint.uri(), %error, retry_ms,
            "the model gave no answer; the machine stays at rest"
        );
        Decision::Wait { for_ns: pause_ns }
    }
}

impl Planner for Model {
    fn name(&self) -> &'static str {
        "model"
    }

    fn decide(&mut self, situation: &Situation) -> Decision {
        let robot = self.robot(&situation.machine);
        let mut situation = situation.clone();
        let untold = self.untold.take();
        situation.outcome = situation.outcome.or(untold);
        let decision = self.ask(&robot, &situation);
        self.robot = Some(robot);
        decision
    }
}

#[cfg(test)]
mod tests;
