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
        for finding in sorted {
            one(&mut out, finding, is_root, &pen);
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
    let _ = writeln!(
        out,
        "{} ({from}), judged as on {judged}: {} on CPU {}, {} on CPU {}, {} on CPU {}, {} on CPU {}",
        pen.draw(BOLD, &demand.robot),
        format_args!("control {}", threads.control.priority),
        threads.control.cpu,
        format_args!("bus {}", threads.bus.priority),
        threads.bus.cpu,
        format_args!("deadline {}", threads.deadline.priority),
        threads.deadline.cpu,
        format_args!("guardian {}", threads.guardian.priority),
        threads.guardian.cpu,
    );
}

fn one(out: &mut String, finding: &Finding, is_root: bool, pen: &Pen) {
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
    if let Some(mend) = &finding.mend {
        for (index, line) in mend::for_user(mend, is_root).lines().enumerate() {
            let label = if index == 0 { "mend" } else { "" };
            let label = format!("{:MARK$}{label:<width$}", "", width = LABEL - MARK);
            let _ = writeln!(out, "{}{}", pen.draw(FAINT, &label), pen.draw(BOLD, line));
        }
    }
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
            format!("this host gives {robot} no real time; on a real bus it would not arm")
        }
        Severity::Failure => format!("{robot} does not run on this host"),
        Severity::Warning if demand.is_strict => {
            format!("{robot} runs, and this host will make it miss deadlines")
        }
        Severity::Warning => format!("good enough for a simulation of {robot}, not for motors"),
        Severity::Unknown => "nothing wrong was read, but not everything could be read".to_owned(),
        Severity::Note | Severity::Ok => format!("this host is fit for {robot}"),
    };
    let first = |severity| {
        let mut those = all.iter().filter(move |finding| finding.severity == severity);
        those.find(|finding| finding.mend.is_some())
    };
    let _ = writeln!(out);
    let line = format!("{}: {words}.", sums(all));
    for line in wrap(&line, WIDTH) {
        let _ = writeln!(out, "{}", pen.draw(paint(worst), &line));
    }
    if worst < Severity::Warning {
        return;
    }
    if let Some(finding) = first(worst) {
        let mend = mend::for_user(finding.mend.as_deref().unwrap_or_default(), is_root);
        let _ = writeln!(out, "First mend ({}):", finding.id);
        for line in mend.lines() {
            let _ = writeln!(out, "  {}", pen.draw(BOLD, line));
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
