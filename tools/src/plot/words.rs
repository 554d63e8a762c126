//! Numbers as people read them on an axis and in a legend.

use hdrhistogram::Histogram;

use super::quantile;

/// A time with the unit that suits it, three digits: `4.20 us`, `43.7 us`, `1.02 ms`.
pub fn time(ns: u64) -> String {
    let us = ns as f64 / 1e3;
    if us < 1e3 {
        format!("{} us", three_digits(us))
    } else if us < 1e6 {
        format!("{} ms", three_digits(us / 1e3))
    } else {
        format!("{} s", three_digits(us / 1e6))
    }
}

fn three_digits(value: f64) -> String {
    let digits = match value {
        value if value < 10.0 => 2,
        value if value < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

/// Letters of a subtitle that fit beside each other.
const LINE_LETTERS: usize = 134;

/// A subtitle in as many lines as it needs, broken between words.
pub fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= LINE_LETTERS => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A value of the axis, µs.
pub fn axis_us(us: f64) -> String {
    match us {
        us if us < 0.999 => format!("{:.0} ns", us * 1e3),
        us if us < 1e3 => format!("{us:.0} us"),
        us if us < 1e6 => format!("{} ms", us / 1e3),
        us => format!("{} s", us / 1e6),
    }
}

/// A count of the axis: `1`, `10`, `1k`, `1M`.
pub fn axis_count(count: f64) -> String {
    match count {
        count if count < 1e3 => format!("{count:.0}"),
        count if count < 1e6 => format!("{:.0}k", count / 1e3),
        count => format!("{:.0}M", count / 1e6),
    }
}

/// `123456` as `123,456`.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The numbers that go with a series' name; a percentile with too few samples is left out.
pub fn legend(name: &str, histogram: &Histogram<u64>) -> String {
    if histogram.is_empty() {
        return format!("{name}: no samples");
    }
    let mut text = format!("{name}: {} samples", grouped(histogram.len()));
    for percent in [50.0, 99.0, 99.9, 99.99] {
        if let Some(value) = quantile::value_ns(histogram, percent) {
            text.push_str(&format!(", p{percent} {}", time(value)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_three_digits() {
        let cases = [(840, "0.84 us"), (4_200, "4.20 us"), (43_700, "43.7 us")];
        for (ns, text) in cases {
            assert_eq!(time(ns), text);
        }
        assert_eq!(time(500_000), "500 us");
        assert_eq!(time(7_373_000), "7.37 ms");
        assert_eq!(time(2_000_000_000), "2.00 s");
    }

    #[test]
    fn a_long_subtitle_keeps_all_its_words() {
        let long = "Linux 6.1 (PREEMPT_RT), counted time; ".repeat(8);
        let lines = wrapped(&long);
        assert!(lines.len() > 2 && lines.iter().all(|line| line.len() <= LINE_LETTERS));
        assert_eq!(lines.join(" "), long.trim());
        assert!(wrapped("").is_empty());
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }

    #[test]
    fn a_legend_leaves_out_what_the_samples_do_not_carry() {
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3).unwrap();
        assert_eq!(legend("wire", &histogram), "wire: no samples");
        histogram.record_n(4_000, 1_000).unwrap();
        let text = legend("wire", &histogram);
        assert!(text.contains("1,000 samples") && text.contains("p99 4.0"), "{text}");
        assert!(!text.contains("p99.9"), "{text}");
    }
}
