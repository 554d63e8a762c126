//! The robot file as its author meets it: arm6 as shipped, and arm6 with one thing wrong.

mod arm6;
mod refusals;

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
