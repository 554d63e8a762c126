//! What a run found, as a table and as JSON.

use std::fmt::{self, Write};

use serde::Serialize;

use super::item::{ALL, Item};
use super::near::LookCounts;
use super::reading::{Found, MOVED_FACTOR, Placement, Reading};
use super::target::{Bound, Judgement};
use crate::host::Cores;
use crate::stats::median;

/// What was asked of the host, and granted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Host {
    /// The processors.
    pub cores: Cores,
    /// Both processes are pinned.
    pub pinned: bool,
    /// Both run with SCHED_FIFO; none: not asked for.
    pub real_time: Option<bool>,
    /// `/dev/cpu_dma_latency` is held at 0.
    pub stays_awake: bool,
    /// What a look at the clock costs, ns: part of every round trip, the raw one's too.
    pub clock_cost_ns: f64,
    /// What a fenced look costs, ns: subtracted from every look at a cell.
    pub clock_fenced_cost_ns: f64,
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// A smoke run judges nothing.
    pub smoke: bool,
    /// The host.
    pub host: Host,
    /// Probes that differ by more than this factor: moved.
    pub moved_factor: f64,
    /// Repetitions that a target wants in one placement.
    pub wanted: usize,
    /// Every reading of every repetition.
    pub repetitions: Vec<Vec<Reading>>,
    /// The targets.
    pub targets: Vec<Judgement>,
}

impl Report {
    /// Whether every floor held; a smoke run holds none against anybody.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.smoke || self.targets.iter().all(|target| target.verdict.holds())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.host)?;
        writeln!(
            f,
            "Medians over the repetitions that stayed in one placement (raw probes before and after \
             within a factor\nof {MOVED_FACTOR}), maximum over them; one way, or one look. Rows in \
             brackets are of those that moved.\nThe middle is the median over blocks of 16 of their \
             mean, finer than the clock\'s steps; it is what is compared.\n"
        )?;
        writeln!(
            f,
            "{:<52} {:>10} {:>3} {:>9} {:>9} {:>9} {:>9} {:>11} {:>7}",
            "", "placement", "n", "middle ns", "p50", "p99", "p99.9", "max", "x R2"
        )?;
        for item in ALL.into_iter().filter(|item| *item != Item::Raw) {
            self.rows(f, item)?;
        }
        if self.smoke {
            return writeln!(f, "\nA smoke run: every record was compared, no time is judged.");
        }
        writeln!(
            f,
            "\n{:<34} {:>7} {:>8} {:>7}  {:<14} {:>10} {:>3} {:>6} {:>9}",
            "target", "ratio", "floor", "aim", "", "placement", "n", "moved", "elsewhere"
        )?;
        for target in &self.targets {
            row(f, target)?;
        }
        Ok(())
    }
}

impl Report {
    fn rows(&self, f: &mut fmt::Formatter<'_>, item: Item) -> fmt::Result {
        let of_item = || self.repetitions.iter().flatten().filter(|reading| reading.item == item);
        for placement in [Placement::OneCore, Placement::OneCache, Placement::Far] {
            for moved in [false, true] {
                let readings: Vec<&Reading> = of_item()
                    .filter(|reading| reading.placement == placement && reading.moved == moved)
                    .collect();
                if !readings.is_empty() {
                    readings_row(f, item, placement, moved, &readings)?;
                }
            }
        }
        Ok(())
    }
}

fn readings_row(
    f: &mut fmt::Formatter<'_>,
    item: Item,
    placement: Placement,
    moved: bool,
    readings: &[&Reading],
) -> fmt::Result {
    let middle = |of: &dyn Fn(&Reading) -> f64| median(readings.iter().map(|one| of(one)));
    let name = if moved { format!("[{item}: moved]") } else { item.to_string() };
    write!(f, "{name:<52} {:>10} {:>3}", placement.name(), readings.len())?;
    let times = |pick: fn(&crate::stats::Summary) -> f64| {
        move |reading: &Reading| match &reading.found {
            Found::Times { times, .. } => pick(times),
            Found::Rate { .. } => f64::NAN,
        }
    };
    if let Some(Found::Rate { .. }) = readings.first().map(|reading| reading.found) {
        let per_s = middle(&|reading| reading.found.value()).unwrap_or(f64::NAN);
        return writeln!(f, " {:>9.2} M/s", per_s / 1e6);
    }
    for pick in
        [times(|t| t.middle_ns), times(|t| t.p50_ns), times(|t| t.p99_ns), times(|t| t.p99_9_ns)]
    {
        write!(f, " {:>9.1}", middle(&pick).unwrap_or(f64::NAN))?;
    }
    let max = times(|t| t.max_ns);
    let longest = readings.iter().map(|reading| max(reading)).fold(0.0, f64::max);
    let ratio = middle(&|reading| reading.found.value() / reading.raw_ns()).unwrap_or(f64::NAN);
    writeln!(f, " {longest:>11.0} {ratio:>7.2}{}", looks(readings))
}

/// What became of the looks at a cell.
fn looks(readings: &[&Reading]) -> String {
    let mut text = String::new();
    let mut sum: Option<LookCounts> = None;
    for reading in readings {
        if let Found::Times { looks: Some(looks), .. } = reading.found {
            let sum = sum.get_or_insert_default();
            sum.retries += looks.retries;
            sum.retries_max = sum.retries_max.max(looks.retries_max);
            sum.stale += looks.stale;
        }
    }
    if let Some(LookCounts { retries, retries_max, stale }) = sum.filter(|sum| sum.retries > 0) {
        let _ = write!(text, "  retries {retries}, at most {retries_max} a look; stale {stale}");
    }
    text
}

fn row(f: &mut fmt::Formatter<'_>, target: &Judgement) -> fmt::Result {
    let sign = match target.bound {
        Bound::AtMost => "<=",
        Bound::AtLeast => ">=",
    };
    let ratio = target.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
    writeln!(
        f,
        "{:<34} {ratio:>7} {sign:>3}{:>5.2} {:>7.2}  {:<14} {:>10} {:>3} {:>6} {:>9}",
        target.name,
        target.floor,
        target.aim,
        target.verdict.name(),
        target.placement.map_or("-", Placement::name),
        target.ratios.len(),
        target.moved,
        target.elsewhere,
    )
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let granted = |is: bool| if is { "granted" } else { "NOT GRANTED" };
        write!(
            f,
            "Processors {} and {}: pinned {}; SCHED_FIFO {}; /dev/cpu_dma_latency at 0 {}.\n\
             A look at the clock costs {:.1} ns (part of each round trip), a fenced one {:.1} ns \
             (subtracted).",
            self.cores.near,
            self.cores.far,
            granted(self.pinned),
            self.real_time.map_or("not asked for", granted),
            granted(self.stays_awake),
            self.clock_cost_ns,
            self.clock_fenced_cost_ns,
        )
    }
}
