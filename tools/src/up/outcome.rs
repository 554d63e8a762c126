//! How a `mechos up` ended: for a script one JSON object, for a person the status in words.

use std::io::IsTerminal;
use std::process::ExitCode;

use mechos_operator::Status;
use serde::Serialize;

use crate::failure::Failure;
use crate::{print, report};

/// The end of a machine that was up.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// Whether everything ended as it was asked to.
    pub ended_well: bool,
    /// Why not.
    pub reason: Option<String>,
    /// The last status of the daemon; its fields stand beside the two above.
    #[serde(flatten)]
    pub status: Option<Status>,
}

impl Outcome {
    /// From how the mission ended, the last status, and what did not end in order.
    pub fn new(ended: Result<(), String>, status: Option<Status>, wrong: Vec<String>) -> Outcome {
        let sums = match &status {
            Some(status) if !status.intents.hold() => Some(format!(
                "the sums of the protocol do not hold: {}",
                report::intents(&status.intents)
            )),
            _ => None,
        };
        let reasons: Vec<String> = ended.err().into_iter().chain(sums).chain(wrong).collect();
        let reason = (!reasons.is_empty()).then(|| reasons.join("; "));
        Outcome { ended_well: reason.is_none(), reason, status }
    }

    /// Of a machine that never came up.
    pub fn never_up(failure: &Failure) -> Outcome {
        Outcome { ended_well: false, reason: Some(failure.to_string()), status: None }
    }

    /// 0 where it ended well, else 1.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(u8::from(!self.ended_well))
    }

    /// Whether every drive said last that it is verified and without power.
    fn unpowered(&self) -> bool {
        let axes = self.status.as_ref().map(|status| &status.axes);
        axes.is_some_and(|axes| axes.iter().all(|axis| axis.state == "ready"))
    }

    /// Prints it.
    pub fn print(&self, json: bool) {
        if json {
            print::object(self);
            return;
        }
        if let Some(status) = &self.status {
            print::line(report::text(status, print::colour(std::io::stdout().is_terminal())));
        }
        match &self.reason {
            None if self.unpowered() => print::line("ended in order, every drive without power"),
            None => print::line("ended in order"),
            Some(reason) => print::error(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_stands_at_the_top_of_the_object() {
        let status = Status { ticks: 7, ..Status::default() };
        let outcome = Outcome::new(Ok(()), Some(status), Vec::new());
        let json = serde_json::to_value(&outcome).unwrap();
        assert_eq!(json["ticks"], 7);
        assert_eq!(json["ended_well"], true);
        assert!(json["reason"].is_null() && json["wake_us"]["p99_9"].is_number());
        let back: Status = serde_json::from_value(json).unwrap();
        assert_eq!(back.ticks, 7);
    }

    #[test]
    fn drives_count_as_unpowered_only_where_each_has_said_so() {
        let axis = |state: &str| mechos_operator::AxisStatus {
            state: state.into(),
            ..mechos_operator::AxisStatus::default()
        };
        let ended = |axes| Outcome::new(Ok(()), Some(Status { axes, ..Status::default() }), vec![]);
        assert!(ended(vec![axis("ready"), axis("ready")]).unpowered());
        assert!(!ended(vec![axis("ready"), axis("fault")]).unpowered());
        assert!(!Outcome::new(Ok(()), None, vec![]).unpowered());
    }

    #[test]
    fn every_reason_is_told() {
        let mut status = Status::default();
        status.intents.submitted = 1;
        let wrong = vec!["mechos-rt killed by SIGABRT".to_owned()];
        let outcome = Outcome::new(Err("halted".into()), Some(status), wrong);
        let reason = outcome.reason.clone().unwrap();
        assert!(!outcome.ended_well && reason.starts_with("halted; the sums"), "{reason}");
        assert!(reason.ends_with("SIGABRT"), "{reason}");
    }

    #[test]
    fn a_machine_that_never_came_up_is_an_object_too() {
        let failure = Failure::Start(crate::up::StartError::Interrupted(2));
        let json = serde_json::to_value(Outcome::never_up(&failure)).unwrap();
        assert_eq!(json["ended_well"], false);
        assert!(json["reason"].as_str().unwrap().contains("signal 2"));
    }
}
