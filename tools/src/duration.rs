//! Lengths of time as people write them.

use std::time::Duration;

/// Longest time that may be given.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

const ALLOWED: &str = "allowed is a number with its unit, from 1ms to 7d: 500ms, 10s, 1.5m, 2h";

/// Reads `10s`, `500ms`, `1.5m`, `2h`, `1d`.
///
/// # Errors
/// What is allowed, for anything else.
pub fn parse(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let seconds_each = match unit {
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        "" => return Err(format!("no unit, write {text}s for seconds; {ALLOWED}")),
        _ => return Err(ALLOWED.to_owned()),
    };
    let number: f64 = number.trim().parse().map_err(|_| ALLOWED.to_owned())?;
    match Duration::try_from_secs_f64(number * seconds_each) {
        Ok(length) if length >= Duration::from_millis(1) && length <= LONGEST => Ok(length),
        _ => Err(ALLOWED.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read() {
        assert_eq!(parse("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(parse(" 2 h "), Ok(Duration::from_secs(7200)));
        assert_eq!(parse("1d"), Ok(Duration::from_secs(86_400)));
    }

    #[test]
    fn a_number_alone_is_ambiguous() {
        assert!(parse("10").unwrap_err().contains("10s"));
    }

    #[test]
    fn nonsense_is_refused_with_what_is_allowed() {
        for text in ["", "s", "-1s", "0s", "NaNs", "infs", "1e9d", "8d", "0.1ms", "3 parsecs"] {
            assert!(parse(text).unwrap_err().contains("500ms"), "{text}");
        }
    }
}
