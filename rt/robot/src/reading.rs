//! From text to the file's shape, with the parser's complaints put in the file's words.

use toml::de::Error;

use crate::error::Objection;
use crate::file::File;
use crate::{locate, rules};

/// Reads the shape, or says what stands in its way.
pub(crate) fn read(text: &str) -> Result<File, Objection> {
    toml::from_str(text).map_err(|error| translate(text, &error))
}

/// The parser speaks of types; the file's author thinks in keys and units.
fn translate(text: &str, error: &Error) -> Objection {
    let (message, span) = (error.message(), error.span().unwrap_or(0..0));
    if let Some(rest) = message.strip_prefix("unknown field ") {
        let allowed = rest.split_once("expected ").map_or("no such key", |(_, keys)| keys);
        let mend = "Misspelt, or in the wrong table?";
        return Objection::at(span, "an unknown key", allowed).mend(mend);
    }
    if let Some(key) = message.strip_prefix("missing field ") {
        let key = key.trim_matches('`');
        let allowed = rules::allowed(key).unwrap_or_else(|| "this key, written out".to_owned());
        let mend = "Nothing here has a default that could be wrong: write it out.";
        return Objection::at(span, "nothing", allowed).below(key).mend(mend);
    }
    for prefix in ["invalid type: ", "invalid value: ", "unknown variant "] {
        let parts = message.strip_prefix(prefix).and_then(|rest| rest.split_once(", expected "));
        if let Some((found, expected)) = parts {
            return allowed_there(text, Objection::at(span, found, expected));
        }
    }
    let syntax = Objection::at(span, message.trim_end_matches('.'), "TOML 1.0, each key once");
    // 1e999 is none of TOML's numbers; what its key takes says more than that.
    if message.contains("overflowed") { allowed_there(text, syntax) } else { syntax }
}

/// The objection with what the key at its span may be, where that is known.
fn allowed_there(text: &str, objection: Objection) -> Objection {
    let key = locate::refusal(text, "", objection.clone()).key;
    let allowed = match key.strip_prefix("budgets.") {
        Some(_) => rules::allowed("budgets"),
        None => {
            key.rsplit('.').next().and_then(|last| last.split('[').next()).and_then(rules::allowed)
        }
    };
    match allowed {
        Some(allowed) => Objection { allowed, ..objection },
        None => objection,
    }
}
