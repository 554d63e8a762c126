//! From a span of the text to the line and the key that stand there.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::error::{Key, Objection, Refusal};

/// Turns an objection into a refusal.
pub(crate) fn refusal(text: &str, file: &str, objection: Objection) -> Refusal {
    let Objection { span, key, found, allowed, mend } = objection;
    let line = 1 + text.bytes().take(span.start).filter(|byte| *byte == b'\n').count();
    let key = match key {
        Key::Named(name) => name,
        Key::AtSpan => key_at(text, &span),
        Key::Below(name) => match key_at(text, &span) {
            table if table.is_empty() => name,
            table => format!("{table}.{name}"),
        },
    };
    Refusal { file: file.to_owned(), line, key, found, allowed, mend }
}

/// The narrowest key around `span`, with its way from the top; empty at the top.
fn key_at(text: &str, span: &Range<usize>) -> String {
    let mut best = Best { span, length: usize::MAX, path: String::new() };
    // The text may be broken: what could be read of it still gives the key.
    let (table, _) = DeTable::parse_recoverable(text);
    best.table(table.get_ref(), "");
    best.path
}

struct Best<'a> {
    span: &'a Range<usize>,
    length: usize,
    path: String,
}

impl Best<'_> {
    fn offer(&mut self, candidate: Range<usize>, path: &str) {
        let around = candidate.start <= self.span.start && self.span.end <= candidate.end;
        if around && candidate.len() <= self.length {
            self.length = candidate.len();
            path.clone_into(&mut self.path);
        }
    }

    fn table(&mut self, table: &DeTable<'_>, path: &str) {
        for (key, value) in table {
            let below = match path {
                "" => key.get_ref().to_string(),
                _ => format!("{path}.{}", key.get_ref()),
            };
            self.offer(key.span(), &below);
            self.offer(value.span(), &below);
            self.value(value.get_ref(), &below);
        }
    }

    fn value(&mut self, value: &DeValue<'_>, path: &str) {
        match value {
            DeValue::Table(table) => self.table(table, path),
            DeValue::Array(array) => {
                for (index, entry) in array.iter().enumerate() {
                    let below = match name_of(entry.get_ref()) {
                        Some(name) => format!("{path}[{name}]"),
                        None => format!("{path}[{index}]"),
                    };
                    self.offer(entry.span(), &below);
                    self.value(entry.get_ref(), &below);
                }
            }
            _ => {}
        }
    }
}

/// Buses and axes are known by name.
fn name_of(entry: &DeValue<'_>) -> Option<String> {
    let DeValue::Table(table) = entry else { return None };
    let (_, name) = table.iter().find(|(key, _)| key.get_ref() == "name")?;
    match name.get_ref() {
        DeValue::String(name) => Some(name.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "top = 1\n[[axes]]\nname = \"elbow\"\n[axes.limits]\nspeed = 2\n";

    fn at(what: &str) -> (usize, String) {
        let start = TEXT.find(what).unwrap();
        let objection = Objection::at(start..start + what.len(), "", "");
        let refusal = refusal(TEXT, "f", objection);
        (refusal.line, refusal.key)
    }

    #[test]
    fn a_value_leads_to_its_key() {
        assert_eq!(at("1"), (1, "top".into()));
        assert_eq!(at("2"), (5, "axes[elbow].limits.speed".into()));
        assert_eq!(at("speed"), (5, "axes[elbow].limits.speed".into()));
    }

    #[test]
    fn a_header_leads_to_its_table() {
        assert_eq!(at("[[axes]]"), (2, "axes[elbow]".into()));
        assert_eq!(at("[axes.limits]"), (4, "axes[elbow].limits".into()));
    }
}
