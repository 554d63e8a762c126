//! A model's endpoint in the OpenAI form on this host: it gives the answers that a test wrote, one a
//! call, and keeps what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::machine::PATIENCE;

/// What the endpoint says to one call.
#[derive(Clone, Debug)]
pub enum Say {
    /// A chat completion with this text as the model's answer.
    Text(String),
    /// The same after a while.
    Slowly(Duration, String),
    /// Another status than 200, with this body.
    Status(u16, String),
}

/// One call.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The request's header lines, in lower case.
    pub head: String,
    /// The request's body.
    pub body: Value,
}

impl Asked {
    /// The newest of the user's messages: what the model is told now.
    pub fn prompt(&self) -> &str {
        let messages = self.body["messages"].as_array().map_or(&[][..], Vec::as_slice);
        messages.last().and_then(|message| message["content"].as_str()).unwrap_or_default()
    }
}

/// The endpoint. After its script it says `hold`, five times a second.
pub struct Endpoint {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Endpoint {
    /// Listens on a free port of this host.
    pub fn start(script: Vec<Say>) -> Endpoint {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let book = Arc::clone(&asked);
        // It listens until the test's process ends.
        std::thread::spawn(move || {
            let mut script = script.into_iter();
            for stream in listener.incoming().flatten() {
                serve(stream, &mut script, &book);
            }
        });
        Endpoint { port, asked }
    }

    /// Its address, as `mechos-cognition --endpoint` takes it.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// Waits for a call, counted from 0.
    pub fn asked(&self, call: usize) -> Asked {
        let until = Instant::now() + PATIENCE;
        loop {
            let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(found) = asked.get(call) {
                return found.clone();
            }
            assert!(Instant::now() < until, "call {call} never came; so far {:#?}", *asked);
            drop(asked);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// One call a connection: the client is told to close it.
fn serve(stream: TcpStream, script: &mut impl Iterator<Item = Say>, book: &Mutex<Vec<Asked>>) {
    let Some(asked) = read(&stream) else { return };
    book.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
    let hold = json!({"reason": "done", "action": "hold", "axes": null}).to_string();
    let say = script.next().unwrap_or(Say::Slowly(Duration::from_millis(200), hold));
    let (status, body) = match say {
        Say::Text(text) => (200, completion(&text)),
        Say::Slowly(pause, text) => {
            std::thread::sleep(pause);
            (200, completion(&text))
        }
        Say::Status(status, body) => (status, body),
    };
    let length = body.len();
    let _ = (&stream).write_all(
        format!(
            "HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )
        .as_bytes(),
    );
}

fn completion(text: &str) -> String {
    let message = json!({"role": "assistant", "content": text});
    let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
    json!({"id": "1", "object": "chat.completion", "model": "test", "choices": [choice]})
        .to_string()
}

fn read(stream: &TcpStream) -> Option<Asked> {
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let mut body = Vec::new();
    match length.and_then(|length| length.trim().parse().ok()) {
        Some(length) => reader.take(length).read_to_end(&mut body).ok()?,
        None => return None,
    };
    Some(Asked { head, body: serde_json::from_slice(&body).ok()? })
}
