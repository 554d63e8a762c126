//! One call to an OpenAI-compatible endpoint: bounded in time and in size, over plain HTTP to this
//! host.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use shm_protocol::records::TraceId;
use ureq::Agent;
use ureq::http::Uri;

use super::key::ApiKey;
use crate::trace;
use crate::words;

/// Bytes of an endpoint's own error message that are shown.
const SHOWN_BYTES_MAX: usize = 300;

/// Why an address is not used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not an address.
    #[error("endpoint {found:?} is no address; one like http://127.0.0.1:8080/v1 is needed")]
    Form {
        /// As given.
        found: String,
    },
    /// TLS.
    #[error(
        "endpoint {found:?}: https is not supported by this version; use plain http to a model \
         server, or a proxy that adds TLS, on this host (http://127.0.0.1:PORT/v1)"
    )]
    Https {
        /// As given.
        found: String,
    },
    /// Another scheme.
    #[error("endpoint {found:?}: the address must begin with http://")]
    Scheme {
        /// As given.
        found: String,
    },
    /// Not this host.
    #[error(
        "endpoint {found:?}: plain http goes to this host only (127.0.0.1, [::1] or localhost), \
         since anyone on the way could read the key and change the answer"
    )]
    NotLoopback {
        /// As given.
        found: String,
    },
    /// A name or password inside.
    #[error("the endpoint's address must not carry a user or password; use --api-key-file")]
    Credentials,
}

/// Why a call gave no answer. None of these is the model's fault: the same prompt is sent again.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The transport, a time-out, or an answer that is too large.
    #[error("no answer: {0}")]
    Transport(String),
    /// Another status than 200.
    #[error("status {status}: {message}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// What the endpoint said, cut short and without the key.
        message: String,
    },
    /// Not the form of a chat completion.
    #[error("not an OpenAI chat completion: {0}")]
    Form(String),
}

/// Time-outs and sizes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// To connect.
    pub connect: Duration,
    /// Silence between two reads. A model that thinks before it streams needs long here.
    pub read: Duration,
    /// The whole call.
    pub call: Duration,
    /// Largest body of an answer, bytes.
    pub body_bytes_max: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            read: Duration::from_secs(60),
            call: Duration::from_secs(90),
            body_bytes_max: 256 * 1024,
        }
    }
}

/// An endpoint, checked, with its agent.
#[derive(Debug)]
pub struct Endpoint {
    uri: String,
    agent: Agent,
    key: Option<ApiKey>,
    bounds: Bounds,
}

impl Endpoint {
    /// Checks an address: a base (`http://host:port`, `.../v1`) or the whole path.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub fn new(address: &str, key: Option<ApiKey>, bounds: Bounds) -> Result<Self, EndpointError> {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_connect(Some(bounds.connect))
            .timeout_per_read(Some(bounds.read))
            .timeout_global(Some(bounds.call))
            .build()
            .new_agent();
        Ok(Self { uri: completions_uri(address)?, agent, key, bounds })
    }

    /// Where calls go.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Sends a request and gives the text of the model's answer.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn call(&self, body: &Value, trace: TraceId) -> Result<String, CallError> {
        let mut request = self
            .agent
            .post(&self.uri)
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .header("traceparent", trace::traceparent(trace));
        if let Some(key) = &self.key {
            request = request.header("authorization", key.header());
        }
        let transport = |error: ureq::Error| CallError::Transport(self.shown(&error.to_string()));
        let mut response = request.send(body.to_string().as_bytes()).map_err(transport)?;
        let status = response.status().as_u16();
        let limited = response.body_mut().with_config().limit(self.bounds.body_bytes_max);
        let bytes = limited.read_to_vec().map_err(transport)?;
        if status != 200 {
            let message = self.shown(&String::from_utf8_lossy(&bytes));
            return Err(CallError::Status { status, message });
        }
        content(&bytes).map_err(|text| CallError::Form(self.shown(&text)))
    }

    fn shown(&self, text: &str) -> String {
        let text = match &self.key {
            Some(key) => key.redact(text),
            None => text.to_owned(),
        };
        // One line, and no control characters into a terminal.
        let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        words::excerpt(&line, SHOWN_BYTES_MAX)
    }
}

fn completions_uri(address: &str) -> Result<String, EndpointError> {
    let found = || address.to_owned();
    let uri: Uri = address.parse().map_err(|_| EndpointError::Form { found: found() })?;
    let authority = uri.authority().ok_or_else(|| EndpointError::Form { found: found() })?;
    if authority.as_str().contains('@') {
        return Err(EndpointError::Credentials);
    }
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") => return Err(EndpointError::Https { found: found() }),
        Some(_) => return Err(EndpointError::Scheme { found: found() }),
        None => return Err(EndpointError::Form { found: found() }),
    }
    if uri.query().is_some() {
        return Err(EndpointError::Form { found: found() });
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let loopback = host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if !loopback {
        return Err(EndpointError::NotLoopback { found: found() });
    }
    let path = uri.path().trim_end_matches('/');
    let rest = if path.ends_with("/chat/completions") {
        ""
    } else if path.ends_with("/v1") {
        "/chat/completions"
    } else {
        "/v1/chat/completions"
    };
    Ok(format!("http://{authority}{path}{rest}"))
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
    refusal: Option<String>,
}

/// The text of the first choice. A refusal by the model is handed on as its answer: it will not
/// parse, and its words go into the next prompt.
fn content(bytes: &[u8]) -> Result<String, String> {
    let completion: Completion = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    let choice = completion.choices.into_iter().next().ok_or("it has no choices")?;
    if let Some(refusal) = choice.message.refusal.filter(|text| !text.is_empty()) {
        return Ok(refusal);
    }
    choice.message.content.ok_or_else(|| {
        let why = choice.finish_reason.unwrap_or_else(|| "no reason given".into());
        format!("its first choice has no content (finish reason: {why})")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_or_a_whole_address_leads_to_the_same_place() {
        let whole = "http://127.0.0.1:8080/v1/chat/completions";
        for address in
            ["http://127.0.0.1:8080", "http://127.0.0.1:8080/", "http://127.0.0.1:8080/v1/", whole]
        {
            assert_eq!(completions_uri(address).as_deref(), Ok(whole));
        }
        assert!(completions_uri("http://[::1]:1/v1").is_ok());
        assert!(completions_uri("http://LocalHost:1/v1").is_ok());
    }

    #[test]
    fn https_other_hosts_and_credentials_are_refused_in_words() {
        let https = completions_uri("https://api.example.com/v1").unwrap_err();
        assert!(https.to_string().contains("https is not supported"), "{https}");
        for address in ["http://10.0.0.1/v1", "http://example.com", "http://127.0.0.1.evil.com"] {
            let error = completions_uri(address).unwrap_err();
            assert!(matches!(error, EndpointError::NotLoopback { .. }), "{error}");
        }
        let credentials = completions_uri("http://me:secret@127.0.0.1/v1").unwrap_err();
        assert!(!credentials.to_string().contains("secret"));
        assert!(matches!(completions_uri("ftp://127.0.0.1/"), Err(EndpointError::Scheme { .. })));
        assert!(matches!(completions_uri("nonsense"), Err(EndpointError::Form { .. })));
    }

    #[test]
    fn what_is_no_completion_is_refused_by_name() {
        for (body, part) in [
            ("", "EOF"),
            ("<html>", "expected value"),
            ("{}", "choices"),
            (r#"{"choices":[]}"#, "no choices"),
            (r#"{"choices":[{"message":{"content":null},"finish_reason":"length"}]}"#, "length"),
        ] {
            let error = content(body.as_bytes()).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        let deep = "[".repeat(100_000);
        assert!(content(deep.as_bytes()).is_err(), "no stack overflow");
    }
}
