//! What a person sees while it runs, on standard error, and the table at the end.

use std::fmt::Write;
use std::time::Instant;

use super::faults::Fault;
use super::page::time;
use super::report::{FaultReport, Report};
use super::trial::Trial;
use crate::print;

/// Between two lines of one fault, s.
const EVERY_S: f64 = 5.0;

/// How far it is.
pub struct Progress {
    faults: usize,
    times: u32,
    fault: usize,
    trials: u32,
    known: u32,
    began: Instant,
    said: Instant,
}

impl Progress {
    /// Of so many faults with so many trials each.
    pub fn new(faults: usize, times: u32) -> Progress {
        let began = Instant::now();
        Progress { faults, times, fault: 1, trials: 0, known: 0, began, said: began }
    }

    /// A line.
    pub fn say(&mut self, text: &str) {
        print::note(text);
    }

    /// A trial of an earlier report takes no time.
    pub fn known(&mut self) {
        self.known += 1;
    }

    /// A trial is over. One that failed is always told.
    pub fn trial(&mut self, fault: Fault, trial: &Trial) {
        self.trials += 1;
        if let Some(reason) = &trial.failed {
            let (name, number) = (fault.name(), trial.number);
            print::note(format!("{name}, trial {number}: NOT MEASURED: {reason}"));
        }
        if self.said.elapsed().as_secs_f64() < EVERY_S {
            return;
        }
        self.said = Instant::now();
        let all = self.times.saturating_mul(u32::try_from(self.faults).unwrap_or(u32::MAX));
        let each_s = self.began.elapsed().as_secs_f64() / f64::from(self.trials.max(1));
        let left_s = each_s * f64::from(all.saturating_sub(self.trials).saturating_sub(self.known));
        let (number, name, faults) = (self.fault, fault.name(), self.faults);
        print::note(format!(
            "fault {number} of {faults}, {name}: trial {} of {}; about {left_s:.0} s left",
            trial.number + 1,
            self.times
        ));
    }

    /// A fault is over.
    pub fn over(&mut self, fault: &FaultReport) {
        self.fault += 1;
        let each = u64::from(fault.trials.max(1));
        let whole_ns = fault.each.iter().map(|trial| trial.whole_ns).sum::<u64>() / each;
        let back_ns = fault.each.iter().map(|trial| trial.recovery_ns).sum::<u64>() / each;
        print::note(format!(
            "{}  (a trial {}, of it {} back to motion)",
            row(fault),
            time(Some(whole_ns)),
            time(Some(back_ns))
        ));
    }
}

fn row(fault: &FaultReport) -> String {
    let (first, rest) = (fault.first(), fault.standstill());
    let held = if fault.held { "held" } else { "NOT HELD" };
    let who: Vec<&str> = fault.stopped_by.keys().map(String::as_str).collect();
    format!(
        "{:<24}{:>7}{:>7}  {:<24}{:>12}{:>12}{:>12}{:>12}{:>12}  {held:<9} {}",
        fault.name,
        fault.trials,
        fault.failed,
        first.map_or("", |measure| measure.name),
        time(first.and_then(|measure| measure.p50_ns)),
        time(first.and_then(|measure| measure.max_ns)),
        time(first.and_then(|measure| measure.budget_ns)),
        time(rest.and_then(|measure| measure.max_ns)),
        time(rest.and_then(|measure| measure.budget_ns)),
        who.join(", ")
    )
}

/// All of it.
pub fn table(report: &Report) -> String {
    let mut text = format!(
        "{:<24}{:>7}{:>7}  {:<24}{:>12}{:>12}{:>12}{:>12}{:>12}  {:<9} stopped by\n",
        "fault", "trials", "failed", "measured", "p50", "max", "budget", "rest max", "budget", ""
    );
    for fault in &report.faults {
        let _ = writeln!(text, "{}", row(fault));
    }
    let verdict = if report.held { "every budget held" } else { "NOT EVERY BUDGET HELD" };
    let _ = write!(text, "{verdict}; profile {}, {}", report.profile, report.time);
    text
}
