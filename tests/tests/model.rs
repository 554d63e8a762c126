//! A model behind an endpoint in the OpenAI form drives the arm; its nonsense is refused with a
//! reason, and the reason is in the next prompt.

// A test's own helpers fail it by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use mechos_tests::endpoint::{Endpoint, Say};
use mechos_tests::machine::{Machine, Options};
use serde_json::json;

/// An answer that moves axes, by name, to positions.
fn to(axes: &[(&str, f64)]) -> String {
    let axes: serde_json::Map<_, _> = axes
        .iter()
        .map(|(name, position)| (name.to_string(), json!({"position_rad": position})))
        .collect();
    json!({"reason": "the next step", "action": "move_joints", "axes": axes}).to_string()
}

fn start(endpoint: &Endpoint) -> Machine {
    let url = endpoint.url();
    let args = ["--planner", "model", "--endpoint", &url, "--model", "test"];
    let cognition_args = args.map(str::to_owned).to_vec();
    let machine = Machine::start(Options { cognition_args, ..Options::default() });
    machine.arm();
    machine
}

/// The arm stands where the model sent it.
fn stands_at(machine: &Machine, pose: &[(&str, f64)]) {
    machine.wait("the arm to be where the model sent it", |status| {
        pose.iter().all(|(name, position)| {
            let axis = status.axes.iter().find(|axis| axis.name == *name).expect("an axis");
            (axis.position_rad - position).abs() < 0.01 && axis.velocity_rad_s.abs() < 0.01
        })
    });
}

#[test]
fn nonsense_comes_back_as_a_reason_and_good_answers_move_the_arm() {
    let huge = r#"{"reason":"far","action":"move_joints","axes":{"base":{"position_rad":1e39}}}"#;
    let fast = r#"{"reason":"fast","action":"move_joints",
        "axes":{"base":{"position_rad":2.75,"velocity_rad_s":1.5}}}"#;
    const REFUSED: &str = "refused and nothing was done";
    // Each nonsense, with the words that the next prompt must have.
    let nonsense: Vec<(String, &[&str])> = vec![
        ("I would rather dance.".into(), &[REFUSED, "does not match the schema"]),
        (r#"{"action":"dance","reason":"r"}"#.into(), &[REFUSED, "unknown variant", "dance"]),
        (r#"{"action":"hold"}"#.into(), &[REFUSED, "missing field", "reason"]),
        (to(&[("nose", 0.1)]), &[REFUSED, "there is no axis \"nose\"", "base, shoulder, elbow"]),
        (huge.into(), &[REFUSED, "axis base", "position_rad is 1e39", "finite number"]),
        (to(&[("shoulder", 3.5)]), &["Refused: rule position", "axis shoulder", "limit 2.9 rad"]),
        (fast.into(), &["Refused: rule stoppable", "axis base", "value 1.5", "nearest admissible"]),
    ];
    let poses: [&[(&str, f64)]; 2] = [
        &[("base", 0.7), ("shoulder", -0.9), ("elbow", 1.1), ("wrist1", -0.6)],
        &[("base", -0.4), ("wrist2", 0.8), ("wrist3", 0.5)],
    ];
    let script = nonsense.iter().map(|(answer, _)| answer.clone());
    let script = script.chain(poses.iter().map(|pose| to(pose))).map(Say::Text).collect();
    let endpoint = Endpoint::start(script);
    let machine = start(&endpoint);

    let first = endpoint.asked(0);
    assert!(first.head.starts_with("post /v1/chat/completions "), "{}", first.head);
    assert!(first.head.contains("traceparent: 00-"), "{}", first.head);
    assert_eq!(first.body["model"], "test");
    let schema = &first.body["response_format"]["json_schema"];
    assert_eq!(schema["strict"], true);
    assert!(schema["schema"].to_string().contains("wrist3"), "{schema}");
    for (call, (answer, words)) in nonsense.iter().enumerate() {
        let next = endpoint.asked(call + 1);
        for part in *words {
            assert!(next.prompt().contains(part), "{part:?} after {answer}\n{}", next.prompt());
        }
        if call < 5 {
            assert_eq!(machine.status().unwrap().intents.accepted, 0, "nonsense moved the arm");
        }
    }
    let done = nonsense.len() + poses.len();
    for call in nonsense.len() + 1..=done {
        let next = endpoint.asked(call);
        assert!(next.prompt().contains("Completed: the goal was reached"), "{}", next.prompt());
    }
    let mut end: Vec<(&str, f64)> = poses[0].to_vec();
    end.retain(|(name, _)| *name != "base");
    end.extend_from_slice(poses[1]);
    stands_at(&machine, &end);
    let status = machine.wait("the sums to hold", |status| status.intents.hold());
    assert_eq!((status.mode.as_str(), status.intents.refused), ("armed", 2), "two by the gate");
    assert!(status.halts.is_empty(), "{:?}", status.halts);
}

#[test]
fn an_endpoint_that_is_slow_or_broken_leaves_the_arm_at_rest_and_armed() {
    let pose: &[(&str, f64)] = &[("base", 0.5)];
    let endpoint = Endpoint::start(vec![
        Say::Status(500, r#"{"error":{"message":"overloaded"}}"#.into()),
        Say::Status(200, "<html>a proxy's page</html>".into()),
        Say::Slowly(Duration::from_secs(2), to(pose)),
    ]);
    let machine = start(&endpoint);
    let prompt = endpoint.asked(0).prompt().to_owned();
    assert!(!prompt.contains("refused"), "{prompt}");
    // No answer is not the model's fault: the same is put to it again.
    for call in [1, 2] {
        assert!(!endpoint.asked(call).prompt().contains("refused"));
    }
    let status = machine.status().unwrap();
    assert_eq!((status.mode.as_str(), status.intents.submitted), ("armed", 0));
    stands_at(&machine, pose);
    let status = machine.wait("the sums to hold", |status| status.intents.hold());
    assert_eq!(status.mode, "armed");
    assert!(status.halts.is_empty(), "{:?}", status.halts);
}
