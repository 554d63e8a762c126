//! The measurement in words, as JSON and as a picture.

use std::fmt::Write;

use mechos_robot::{Robot, Wake};
use serde_json::{Value, json};

use super::cyclictest::Found;
use super::measure::Measured;
use super::options::LatencyOptions;
use super::path::Distribution;
use super::peer::LOOK_NS;
use super::versus::Comparison;
use crate::plot::{PlotError, Series, distribution_svg};
use crate::provenance::Provenance;

const PERCENTS: [f64; 4] = [50.0, 99.0, 99.9, 99.99];

/// Everything that is shown.
pub struct Result<'a> {
    /// As asked for.
    pub options: &'a LatencyOptions,
    /// The robot.
    pub robot: &'a Robot,
    /// Where and with what.
    pub provenance: Provenance,
    /// The machine's side.
    pub measured: &'a Measured,
    /// The other side, where asked for.
    pub versus: Option<(&'a Found, &'a Comparison)>,
}

/// µs with as many digits as mean something.
fn us(ns: u64) -> String {
    let us = ns as f64 / 1e3;
    if us < 1e3 { format!("{us:.2}") } else { format!("{us:.0}") }
}

impl Result<'_> {
    /// For people.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let Self { measured, robot, .. } = self;
        let _ = writeln!(out, "{}, profile {}, {} Hz", robot.name, self.profile(), robot.rate_hz);
        let _ = writeln!(out, "host      {}", self.host());
        let _ = writeln!(out, "control   {}; load: {}", self.control(), self.load());
        let _ = writeln!(out);
        self.table(&mut out);
        let _ = writeln!(out, "          us; `-`: fewer than ten samples past it; nothing removed");
        let _ = writeln!(out);
        let window = &measured.window;
        let (misses, causes) = (window.misses, window.miss_causes);
        let _ = writeln!(
            out,
            "window    {:.1} s, {} ticks, {} skipped; {} samples lost; {} ms of CPU stolen",
            window.seconds, window.ticks, window.skipped, window.samples_lost, window.steal_ms
        );
        let _ = writeln!(
            out,
            "misses    {} late wake-up, {} late computing, {} late sending = {} own stage, {} page \
             fault, {} blocked, {} switched, {} stolen, {} bus",
            misses.late_wake,
            misses.late_compute,
            misses.late_send,
            causes.own_stage,
            causes.page_fault,
            causes.blocked,
            causes.involuntary_switch,
            causes.steal,
            causes.bus
        );
        let planner = &measured.planner;
        let _ = writeln!(
            out,
            "planner   {} intents, {} refused, {} returned; looked every {} us from {} us after a \
             tick on, {} ticks unseen",
            planner.written,
            planner.refused,
            planner.returned,
            LOOK_NS / 1_000,
            LOOK_NS / 1_000,
            planner.ticks_unseen
        );
        let [first, second, third, fourth] = planner.quarters;
        let _ = writeln!(
            out,
            "          written in the quarters of a tick: {first}, {second}, {third}, {fourth}; \
             where they differ it waited for its CPU"
        );
        for reason in &planner.reasons {
            let _ = writeln!(out, "          refused: {reason}");
        }
        self.versus_text(&mut out);
        out.trim_end().to_owned()
    }

    fn table(&self, out: &mut String) {
        let _ = writeln!(
            out,
            "{:34}{:>9}{:>9}{:>9}{:>9}{:>9}{:>10}{:>10}{:>6}",
            "path", "min", "p50", "p99", "p99.9", "p99.99", "max", "count", "lost"
        );
        let cyclictest = self.versus.map(|(found, _)| &found.wake);
        for one in self.measured.distributions.iter().chain(cyclictest) {
            let _ = write!(out, "{:34}", one.path.words());
            let some = |ns: u64| if one.count() == 0 { "-".to_owned() } else { us(ns) };
            let _ = write!(out, "{:>9}", some(one.min_ns));
            for percent in PERCENTS {
                let value = one.percentile_ns(percent).map_or_else(|| "-".to_owned(), us);
                let _ = write!(out, "{value:>9}");
            }
            let _ =
                writeln!(out, "{:>10}{:>10}{:>6}", some(one.max_ns), one.count(), one.samples_lost);
        }
    }

    fn versus_text(&self, out: &mut String) {
        let Some((found, comparison)) = self.versus else { return };
        let blocks = self.options.blocks;
        let _ = writeln!(
            out,
            "\ncyclictest {} in {blocks} turns with the machine, which is down meanwhile: the same \
             priority, CPU, period and load; its resolution 1 ns",
            found.version
        );
        if found.overflows > 0 {
            let _ = writeln!(
                out,
                "          {} of its samples passed 1 ms; all but the largest are taken as 1 ms",
                found.overflows
            );
        }
        let _ = writeln!(
            out,
            "{:10}{:>12}{:>12}{:>9}  promised",
            "wake-up", "control", "cyclictest", "ratio"
        );
        for row in &comparison.rows {
            let value = |ns: Option<u64>| ns.map_or_else(|| "-".to_owned(), us);
            let ratio = row.ratio().map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}"));
            let allowed = comparison.allowed(row);
            let allowed = allowed.map_or_else(String::new, |most| format!("at most {most}"));
            let _ = writeln!(
                out,
                "{:10}{:>12}{:>12}{ratio:>9}  {allowed}",
                row.name(),
                value(row.control_ns),
                value(row.cyclictest_ns)
            );
        }
        for broken in comparison.broken() {
            let _ = writeln!(out, "not held: {broken}");
        }
    }

    fn host(&self) -> String {
        let host = &self.provenance.host;
        let preempt = if host.preempt_rt { "PREEMPT_RT" } else { "no PREEMPT_RT" };
        format!("Linux {} ({preempt}), {}", host.kernel_release, host.time())
    }

    fn profile(&self) -> &str {
        &self.measured.status.profile
    }

    fn control(&self) -> String {
        let status = &self.measured.status;
        let found = status.rt.threads.iter().find(|thread| thread.name == "control");
        let granted = found.map_or_else(
            || "unknown thread".to_owned(),
            |thread| {
                let cpu =
                    thread.cpu.map_or_else(|| "any CPU".to_owned(), |cpu| format!("CPU {cpu}"));
                format!("{} {}, {cpu}", thread.policy, thread.priority)
            },
        );
        format!("{granted}, {}", wake_words(self.robot.threads.wake))
    }

    fn load(&self) -> String {
        let words: Vec<_> = self.options.load.iter().map(|kind| kind.word()).collect();
        if words.is_empty() { "none".to_owned() } else { words.join(", ") }
    }

    /// For `--json`: one object.
    pub fn json(&self) -> Value {
        let measured = self.measured;
        let mut object = json!({
            "ok": true,
            "robot": self.robot.name,
            "profile": self.profile(),
            "rate_hz": self.robot.rate_hz,
            "provenance": self.provenance,
            "control": self.control(),
            "load": self.options.load.iter().map(|kind| kind.word()).collect::<Vec<_>>(),
            "paths": measured.distributions.iter().map(distribution).collect::<Vec<_>>(),
            "window": measured.window,
            "planner": { "written": measured.planner.written,
                         "refused": measured.planner.refused,
                         "returned": measured.planner.returned,
                         "reasons": measured.planner.reasons,
                         "quarters": measured.planner.quarters,
                         "ticks_unseen": measured.planner.ticks_unseen,
                         "look_ns": LOOK_NS },
        });
        if let (Some((found, comparison)), Some(fields)) = (self.versus, object.as_object_mut()) {
            fields.insert(
                "cyclictest".into(),
                json!({
                    "version": found.version, "overflows": found.overflows,
                    "blocks": self.options.blocks, "wake": distribution(&found.wake),
                }),
            );
            fields.insert("comparison".into(), comparison.json());
        }
        object
    }

    /// The picture: both wake-ups where they are compared, else every path.
    ///
    /// # Errors
    /// [`PlotError`].
    pub fn svg(&self) -> std::result::Result<String, PlotError> {
        let Self { robot, measured, .. } = self;
        let series = |one: &'_ Distribution| (one.path.words(), one.histogram.clone());
        let (title, chosen): (String, Vec<_>) = match self.versus {
            Some((found, _)) => {
                let wake = measured.distributions.first().map(series);
                let both = wake.into_iter().chain([series(&found.wake)]).collect();
                ("Wake-up: the control thread and cyclictest".to_owned(), both)
            }
            None => {
                let all = measured.distributions.iter().map(series).collect();
                (format!("{}: from the timer to the frame and back", robot.name), all)
            }
        };
        let subtitle = format!(
            "{}; profile {}, {} Hz, {}; load: {}; {} ticks",
            self.host(),
            self.profile(),
            robot.rate_hz,
            self.control(),
            self.load(),
            measured.window.ticks
        );
        let series: Vec<Series> = chosen
            .iter()
            .map(|(name, histogram)| Series { name, histogram, budget_ns: None })
            .collect();
        distribution_svg(&title, &subtitle, &series)
    }
}

fn wake_words(wake: Wake) -> String {
    match wake {
        Wake::Sleep => "sleeps until its tick".to_owned(),
        Wake::Spin { margin_ns } => format!("spins for the last {} us", margin_ns / 1_000),
    }
}

fn distribution(one: &Distribution) -> Value {
    let some = |ns: u64| (one.count() > 0).then_some(ns);
    let percentile = |percent| one.percentile_ns(percent);
    let [p50, p99, p99_9, p99_99] = PERCENTS.map(percentile);
    json!({
        "path": one.path.key(), "from_to": one.path.words(),
        "count": one.count(), "lost": one.samples_lost,
        "min_ns": some(one.min_ns), "p50_ns": p50, "p99_ns": p99, "p99_9_ns": p99_9,
        "p99_99_ns": p99_99, "max_ns": some(one.max_ns),
        "histogram": super::path::Carried::pack(one).ok().map(|carried| carried.histogram),
    })
}
