//! Names for people and scripts: variants of enums in kebab-case.

use std::fmt::Debug;

use mechos_kernel::Mode;

/// The variant's name in kebab-case: `DeadlineControl` is `deadline-control`.
pub fn kebab(value: &impl Debug) -> String {
    let debug = format!("{value:?}");
    let word = debug.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    let mut name = String::with_capacity(word.len() + 4);
    for (index, letter) in word.chars().enumerate() {
        if letter.is_uppercase() && index > 0 {
            name.push('-');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

/// The mode's name.
pub fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Disarmed => "disarmed",
        Mode::Arming { .. } => "arming",
        Mode::Armed => "armed",
        Mode::Stopping { .. } => "stopping",
        Mode::Halted { .. } => "halted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shm_protocol::records::Cause;

    #[test]
    fn causes_have_kebab_names() {
        assert_eq!(kebab(&Cause::DeadlineControl), "deadline-control");
        assert_eq!(kebab(&Cause::None), "none");
        assert_eq!(kebab(&Mode::Armed), "armed");
    }
}
