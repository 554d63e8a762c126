//! The model planner against a small HTTP server in OpenAI form, and against servers that are not.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::endpoint::Bounds;
use super::key::ApiKey;
use super::*;
use crate::fake;
use crate::planner::{Goal, Outcome, Target};
use shm_protocol::records::{Rule, VerdictKind};

/// What a server saw of one call.
struct Seen {
    head: String,
    body: Value,
}

/// What a server does with one call.
enum Reply {
    /// A completion with this content.
    Content(String),
    /// This status and body.
    Status(u16, String),
    /// A body without end.
    Endless,
    /// Nothing, until the client has gone.
    Silence,
    /// Bytes, one each 20 ms, without end.
    Drip,
}

/// Serves the replies in turn, one connection each.
fn serve(replies: Vec<Reply>) -> (String, Receiver<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (seen, calls) = channel();
    std::thread::spawn(move || {
        for reply in replies {
            let (stream, _) = listener.accept().unwrap();
            answer_one(stream, reply, &seen);
        }
    });
    (address, calls)
}

fn answer_one(mut stream: TcpStream, reply: Reply, seen: &Sender<Seen>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let _ = seen.send(Seen { head, body: serde_json::from_slice(&body).unwrap() });
    let mut send = |status: u16, body: &str| {
        let length = body.len();
        let _ = stream.write_all(
            format!(
                "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            )
            .as_bytes(),
        );
    };
    match reply {
        Reply::Content(content) => {
            let message = json!({"role": "assistant", "content": content, "refusal": null});
            let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
            send(200, &json!({"id": "x", "choices": [choice], "usage": {}}).to_string());
        }
        Reply::Status(status, body) => send(status, &body),
        Reply::Endless => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
            while stream.write_all(&[b' '; 4096]).is_ok() {}
        }
        Reply::Silence => {
            let _ = stream.read(&mut [0; 1]);
        }
        Reply::Drip => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
            while stream.write_all(b" ").is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

fn planner(address: &str, bounds: Bounds) -> Model {
    let key = ApiKey::from_text("sk-very-secret", "test").unwrap();
    let endpoint = Endpoint::new(address, Some(key), bounds).unwrap();
    Model::new(endpoint, "tiny".into(), "wave".into())
}

fn short() -> Bounds {
    Bounds {
        connect: Duration::from_secs(5),
        read: Duration::from_millis(300),
        call: Duration::from_millis(600),
        body_bytes_max: 64 * 1024,
    }
}

const GOOD: &str = r#"{"reason":"wave","action":"move_joints",
    "axes":{"axis0":{"position_rad":0.5,"velocity_rad_s":0.4},"axis1":null}}"#;

#[test]
fn a_good_answer_is_carried_out_and_the_request_is_in_openai_form() {
    let (address, calls) = serve(vec![Reply::Content(GOOD.into())]);
    let now = fake::situation(2);
    let Decision::Ask(request) = planner(&address, Bounds::default()).decide(&now) else {
        panic!("no request")
    };
    let target = Target { axis: 0, position_rad: 0.5, velocity_peak_rad_s: Some(0.4) };
    assert_eq!(request.goal, Goal::Move(vec![target]));
    assert_eq!(request.reason, "wave");
    let seen = calls.recv().unwrap();
    assert!(seen.head.starts_with("POST /v1/chat/completions HTTP/1.1"));
    let head = seen.head.to_lowercase();
    assert!(head.contains("authorization: bearer sk-very-secret"));
    assert!(head.contains(&format!("traceparent: 00-{}", Hex(now.trace))), "{head}");
    assert_eq!(seen.body["model"], "tiny");
    let format = &seen.body["response_format"];
    assert_eq!(format["type"], "json_schema");
    assert_eq!(format["json_schema"]["strict"], true);
    assert!(format["json_schema"]["name"].is_string());
    assert_eq!(format["json_schema"]["schema"]["type"], "object");
    assert!(seen.body["messages"][0]["content"].as_str().unwrap().contains("Task: wave"));
}

#[test]
fn nonsense_is_refused_and_the_reason_goes_into_the_next_prompt() {
    let nose = r#"{"reason":"r","action":"move_joints","axes":{"nose":{"position_rad":0}}}"#;
    let huge = r#"{"reason":"r","action":"move_joints","axes":{"axis0":{"position_rad":1e39}}}"#;
    let nan = r#"{"reason":"r","action":"move_joints","axes":{"axis0":{"position_rad":NaN}}}"#;
    let replies = ["I refuse to speak JSON", nose, huge, nan, GOOD];
    let (address, calls) =
        serve(replies.iter().map(|text| Reply::Content((*text).into())).collect());
    let mut model = planner(&address, Bounds::default());
    let now = fake::situation(2);
    for _ in 0..4 {
        assert!(matches!(model.decide(&now), Decision::Wait { .. }));
    }
    assert!(matches!(model.decide(&now), Decision::Ask(_)));
    let prompts: Vec<String> = calls
        .iter()
        .map(|seen| {
            let messages = seen.body["messages"].as_array().unwrap().clone();
            messages.last().unwrap()["content"].as_str().unwrap().to_owned()
        })
        .collect();
    assert!(!prompts[0].contains("refused"));
    for (prompt, part) in
        prompts[1..].iter().zip(["schema", "no axis \"nose\"", "position_rad is 1e39", "schema"])
    {
        assert!(prompt.contains("refused and nothing was done"), "{prompt}");
        assert!(prompt.contains(part), "{prompt}");
    }
}

#[test]
fn a_verdict_of_the_gate_goes_into_the_next_prompt_even_past_a_failed_call() {
    let failure = Reply::Status(503, "busy".into());
    let (address, calls) = serve(vec![failure, Reply::Content(GOOD.into())]);
    let mut model = planner(&address, Bounds::default());
    let mut now = fake::situation(2);
    let mut verdict = fake::verdict(1, VerdictKind::Refused);
    verdict.rule = Rule::Position;
    (verdict.axis, verdict.value, verdict.limit, verdict.nearest) = (1, 3.5, 2.9, 2.8);
    now.outcome = Some(Outcome::Refused(verdict));
    assert!(matches!(model.decide(&now), Decision::Wait { .. }));
    now.outcome = None;
    assert!(matches!(model.decide(&now), Decision::Ask(_)));
    let seen = calls.iter().nth(1).unwrap();
    let text = seen.body["messages"].to_string();
    for part in ["position", "axis1", "3.5 rad", "limit 2.9", "nearest admissible 2.8"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_slow_silent_or_endless_server_ends_the_call_within_its_bounds() {
    for reply in [Reply::Silence, Reply::Drip, Reply::Endless] {
        let (address, _calls) = serve(vec![reply]);
        let begun = Instant::now();
        let decision = planner(&address, short()).decide(&fake::situation(1));
        assert!(matches!(decision, Decision::Wait { .. }));
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    }
}

#[test]
fn a_huge_body_is_cut_off_at_its_limit() {
    let (address, _calls) = serve(vec![Reply::Content("x".repeat(1 << 20))]);
    let endpoint = Endpoint::new(&address, None, Bounds { body_bytes_max: 1000, ..short() });
    let error = endpoint.unwrap().call(&json!({}), shm_protocol::records::TraceId([1; 16]));
    assert!(matches!(error, Err(endpoint::CallError::Transport(_))), "{error:?}");
}

#[test]
fn an_error_status_is_told_without_the_key_and_pauses_grow_in_bounds() {
    let body = "Incorrect API key provided: sk-very-secret\u{1b}[31m";
    let replies = (0..8).map(|_| Reply::Status(401, body.into())).collect();
    let (address, _calls) = serve(replies);
    let mut model = planner(&address, Bounds::default());
    let error =
        model.endpoint.call(&json!({}), shm_protocol::records::TraceId([1; 16])).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("401") && text.contains("[redacted]"), "{text}");
    assert!(!text.contains("secret") && !text.contains('\u{1b}'), "{text}");
    let mut pauses = Vec::new();
    for _ in 0..7 {
        let Decision::Wait { for_ns } = model.decide(&fake::situation(1)) else { panic!() };
        pauses.push(for_ns);
    }
    assert_eq!(pauses[0], PAUSE_MIN_NS);
    assert_eq!(*pauses.last().unwrap(), PAUSE_MAX_NS);
}

#[test]
fn nobody_listening_is_a_pause_and_not_an_end() {
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let decision = planner(&address, short()).decide(&fake::situation(1));
    assert_eq!(decision, Decision::Wait { for_ns: PAUSE_MIN_NS });
}

#[test]
fn a_redirect_is_not_followed() {
    let (address, calls) = serve(vec![Reply::Status(307, String::new())]);
    let decision = planner(&address, short()).decide(&fake::situation(1));
    assert!(matches!(decision, Decision::Wait { .. }));
    assert_eq!(calls.iter().count(), 1);
}
