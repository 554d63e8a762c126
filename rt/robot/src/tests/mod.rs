//! The robot file as its author meets it: arm6 as shipped, and arm6 with one thing wrong.

mod arm6;
mod can;
mod certificate;
mod machine;
mod timing;
mod words;

use crate::{Refusal, Robot};

/// The shipped file.
const ARM6: &str = include_str!("../../../robots/arm6.toml");

/// arm6 with one piece of text replaced, once.
fn arm6_with(piece: &str, by: &str) -> String {
    assert!(ARM6.contains(piece), "arm6.toml has no {piece:?}");
    ARM6.replacen(piece, by, 1)
}

/// The refusal of a text.
#[track_caller]
fn refused(text: &str) -> Refusal {
    let error = Robot::parse(text, "arm6.toml").expect_err("this must be refused");
    error.refusal().expect("the text was there").clone()
}

/// Refuses arm6 with `piece` replaced `by`, at that key, and gives the refusal.
#[track_caller]
fn wrong(piece: &str, by: &str, key: &str) -> Refusal {
    let text = arm6_with(piece, by);
    let refusal = refused(&text);
    assert_eq!(refusal.key, key, "{refusal}");
    assert_eq!(refusal.file, "arm6.toml");
    assert!(!refusal.found.is_empty() && !refusal.allowed.is_empty(), "{refusal}");
    let line = text.lines().nth(refusal.line - 1);
    assert!(line.is_some_and(|line| !line.trim().is_empty()), "{refusal}");
    refusal
}

/// The line of the first `piece` in arm6, from 1.
fn line_of(piece: &str) -> usize {
    1 + ARM6.lines().position(|line| line.contains(piece)).unwrap()
}
