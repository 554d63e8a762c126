//! The findings for a person: by theme, the worst of each first, a verdict at the end.

use std::fmt::Write;

use super::demand::Demand;
use super::finding::{Finding, Severity};
use super::mend;

/// Columns of a line; a command is never broken.
const WIDTH: usize = 100;
/// Columns before a finding's title, and before what is said about it.
const MARK: usize = 10;
const LABEL: usize = 18;

const BOLD: &str = "\x1b[1m";
const FAINT: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

fn paint(severity: Severity) -> &'static str {
    match severity {
        Severity::Failure => "\x1b[1;31m",
        Severity::Warning => "\x1b[33m",
        Severity::Unknown => "\x1b[35m",
        Severity::Note => "\x1b[36m",
        Severity::Ok => "\x1b[32m",
    }
}

/// Paints, or does not.
struct Pen {
    colour: bool,
}

impl Pen {
    fn draw(&self, paint: &str, text: &str) -> String {
        if self.colour { format!("{paint}{text}{PLAIN}") } else { text.to_owned() }
    }
}

/// The whole report.
pub fn text(
    demand: &Demand,
    themes: &[(&str, Vec<Finding>)],
    is_root: bool,
    colour: bool,
) -> String {
    let pen = Pen { colour };
    let mut out = String::new();
    head(&mut out, demand, &pen);
    for (theme, findings) in themes.iter().filter(|(_, findings)| !findings.is_empty()) {
        let _ = writeln!(out, "\n{}", pen.draw(BOLD, theme));
        let mut sorted: Vec<&Finding> = findings.iter().collect();
        sorted.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        let mut above = None;
        for finding in sorted {
            one(&mut out, finding, above, is_root, &pen);
            above = finding.mend.as_ref();
        }
    }
    let all: Vec<&Finding> = themes.iter().flat_map(|(_, findings)| findings).collect();
    verdict(&mut out, demand, &all, is_root, &pen);
    out
}

fn head(out: &mut String, demand: &Demand, pen: &Pen) {
    let threads = demand.threads;
    let from = demand.file.as_deref().unwrap_or("built in");
    let judged = if demand.is_strict { "a real bus" } else { "a simulation" };
    let named = [
        ("control", threads.control),
        ("bus", threads.bus),
        ("deadline", threads.deadline),
        ("guardian", threads.guardian),
    ];
    let named =
        named.map(|(name, thread)| format!("{name} {} on CPU {}", thread.priority, thread.cpu));
    let _ = writeln!(out, "{} ({from}), judged as on {judged}", pen.draw(BOLD, &demand.robot));
    let _ = writeln!(out, "SCHED_FIFO {}", named.join(", "));
}

fn one(out: &mut String, finding: &Finding, above: Option<&String>, is_root: bool, pen: &Pen) {
    let severity = finding.severity;
    let mark = format!("  {:<width$}", severity.word(), width = MARK - 2);
    let text = format!("{}: {} [{}]", finding.title, finding.read, finding.source);
    for (index, line) in wrap(&text, WIDTH - MARK).iter().enumerate() {
        if index == 0 {
            let _ = writeln!(out, "{}{line}", pen.draw(paint(severity), &mark));
        } else {
            let _ = writeln!(out, "{:MARK$}  {line}", "");
        }
    }
    if severity == Severity::Ok {
        return;
    }
    labelled(out, "wanted", &finding.wanted, pen);
    labelled(out, "why", &finding.why, pen);
    match &finding.mend {
        None => {}
        Some(mend) if Some(mend) == above => labelled(out, "mend", "as above", pen),
        Some(mend) => {
            for (index, line) in mend_lines(mend, is_root, WIDTH - LABEL).iter().enumerate() {
                let label = if index == 0 { "mend" } else { "" };
                let label = format!("{:MARK$}{label:<width$}", "", width = LABEL - MARK);
                let _ = writeln!(out, "{}{}", pen.draw(FAINT, &label), pen.draw(BOLD, line));
            }
        }
    }
}

/// Commands as they are; what stands behind a `#` is for people and broken into lines.
fn mend_lines(mend: &str, is_root: bool, columns: usize) -> Vec<String> {
    let mend = mend::for_user(mend, is_root);
    let lines = mend.lines().flat_map(|line| match line.strip_prefix("# ") {
        Some(words) if line.len() > columns => {
            wrap(words, columns - 2).into_iter().map(|line| format!("# {line}")).collect()
        }
        _ => vec![line.to_owned()],
    });
    lines.collect()
}

fn labelled(out: &mut String, label: &str, text: &str, pen: &Pen) {
    for (index, line) in wrap(text, WIDTH - LABEL).iter().enumerate() {
        let label = if index == 0 { label } else { "" };
        let label = format!("{:MARK$}{label:<width$}", "", width = LABEL - MARK);
        let _ = writeln!(out, "{}{line}", pen.draw(FAINT, &label));
    }
}

/// Lines of at most so many columns; a longer word keeps a line for itself.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// "3 failures, 1 warning, 2 unknown, 9 ok".
pub fn sums(findings: &[&Finding]) -> String {
    let parts = Severity::WORST_FIRST.iter().filter_map(|severity| {
        let count = findings.iter().filter(|finding| finding.severity == *severity).count();
        let word = match severity {
            Severity::Failure => "failure",
            Severity::Warning => "warning",
            Severity::Note => "note",
            Severity::Unknown | Severity::Ok => {
                return (count > 0).then(|| plain(count, *severity));
            }
        };
        (count > 0).then(|| format!("{count} {word}{}", if count == 1 { "" } else { "s" }))
    });
    parts.collect::<Vec<_>>().join(", ")
}

fn plain(count: usize, severity: Severity) -> String {
    format!("{count} {}", severity.word())
}

fn verdict(out: &mut String, demand: &Demand, all: &[&Finding], is_root: bool, pen: &Pen) {
    let worst = all.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Unknown);
    let robot = &demand.robot;
    let words = match worst {
        Severity::Failure if demand.is_strict => {
            format!("on a real bus {robot} does not arm here, or without any real time")
        }
        Severity::Failure => format!("{robot} does not run on this host"),
        Severity::Warning if demand.is_strict => {
            format!("{robot} arms, and this host may make it miss deadlines")
        }
        Severity::Warning => format!("good enough for a simulation of {robot}, not for motors"),
        Severity::Unknown => "nothing wrong was read, but not everything could be read".to_owned(),
        Severity::Note | Severity::Ok => format!("this host is fit for {robot}"),
    };
    let _ = writeln!(out);
    let line = format!("{}: {words}.", sums(all));
    for line in wrap(&line, WIDTH) {
        let _ = writeln!(out, "{}", pen.draw(paint(worst), &line));
    }
    if worst < Severity::Warning {
        return;
    }
    // A command before what only hands can do.
    let mends = |finding: &&&Finding| finding.severity == worst && finding.mend.is_some();
    let is_command =
        |finding: &&&Finding| finding.mend.as_ref().is_some_and(|mend| !mend.starts_with('#'));
    let first = all.iter().filter(mends).find(is_command).or_else(|| all.iter().find(mends));
    if let Some(finding) = first {
        let mend = finding.mend.as_deref().unwrap_or_default();
        let _ = writeln!(out, "First mend ({}):", finding.id);
        for line in mend_lines(mend, is_root, WIDTH - 2) {
            let _ = writeln!(out, "  {}", pen.draw(BOLD, &line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_within_their_columns_and_lose_no_word() {
        let text = "a CPU that lowers its clock when idle computes the first ticks late";
        let lines = wrap(text, 20);
        assert!(lines.iter().all(|line| line.len() <= 20), "{lines:?}");
        assert_eq!(lines.join(" "), text);
        assert_eq!(wrap("a_word_without_any_blank", 5), ["a_word_without_any_blank"]);
    }

    #[test]
    fn sums_name_what_there_is() {
        let finding = |severity| Finding::new("x.y", "x").judged(severity);
        let all = [Severity::Ok, Severity::Failure, Severity::Ok, Severity::Unknown].map(finding);
        assert_eq!(sums(&all.iter().collect::<Vec<_>>()), "1 failure, 1 unknown, 2 ok");
    }
}
