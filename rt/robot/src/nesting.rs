//! The stop paths, one inside the other: each detects, sends and takes effect before the next one
//! expires, and the last one brakes inside the axis' hazard budget.

use toml::Spanned;

use crate::budgets::{Budgets, Sourced};
use crate::error::Objection;
use crate::file;
use crate::load::{heartbeat_ns, stop_blocking_ns};
use crate::spec::{AxisSpec, BusSpec};

const MS_NS: u64 = 1_000_000;

/// One budget that must be longer than what comes before it.
struct Row {
    key: &'static str,
    have_ns: u64,
    need_ns: u64,
    /// Whether `have == need` is still right.
    or_equal: bool,
    why: &'static str,
}

fn milliseconds(ns: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown to six digits")]
    let ms = ns as f64 / 1e6;
    format!("{ms} ms")
}

/// Checks the order of the budgets with worst-case transmission on the slowest bus, and each axis
/// against its hazard budget.
pub(crate) fn check(
    raw: &Spanned<Vec<Spanned<file::Axis>>>,
    axes: &[AxisSpec],
    buses: &[BusSpec],
    sourced: &Sourced,
) -> Result<(), Objection> {
    let slowest = buses.iter().map(|bus| bus.bitrate).min().unwrap_or(1);
    whole_milliseconds(sourced)?;
    for row in rows(&sourced.budgets, slowest) {
        let right = row.need_ns < row.have_ns || (row.or_equal && row.need_ns == row.have_ns);
        if !right {
            let word = if row.or_equal { "at least" } else { "more than" };
            let allowed = format!("{word} {}: {}", milliseconds(row.need_ns), row.why);
            let mend = "The order is execution < deadline < guardian < watchdog < hazard; without \
                        [budgets] the profile keeps it.";
            return Err(sourced.object(row.key, milliseconds(row.have_ns), allowed).mend(mend));
        }
    }
    for (axis, table) in axes.iter().zip(raw.get_ref()) {
        hazard(axis, table, &sourced.budgets, slowest)?;
    }
    Ok(())
}

fn rows(budgets: &Budgets, slowest: u32) -> [Row; 11] {
    let b = budgets;
    let blocking = stop_blocking_ns(slowest);
    // The guardian polls at a quarter of its budget, and at least once a ms.
    let poll = (b.guardian_ns / 4).min(MS_NS);
    let row = |key, have_ns, need_ns, why| Row { key, have_ns, need_ns, or_equal: false, why };
    let at_least = |key, have_ns, need_ns, why| Row { key, have_ns, need_ns, or_equal: true, why };
    [
        at_least("execution_ms", b.period_ns, b.execution_ns, "a tick fits into its period"),
        row("deadline_ms", b.deadline_ns, b.execution_ns, "the worst execution"),
        row(
            "guardian_ms",
            b.guardian_ns,
            b.deadline_ns + blocking,
            "the deadline, and its stop frame on the slowest bus",
        ),
        row(
            "watchdog_ms",
            b.watchdog_ns,
            b.guardian_ns + poll + blocking,
            "the guardian, its polling, and its stop frame on the slowest bus",
        ),
        row("hazard_ms", b.hazard_ns, b.watchdog_ns, "the drives' watchdog"),
        at_least(
            "watchdog_ms",
            b.watchdog_ns,
            2 * b.host_heartbeat_ns + heartbeat_ns(slowest),
            "two host heartbeats, so that one may come late",
        ),
        at_least(
            "drive_heartbeat_timeout_ms",
            b.drive_heartbeat_timeout_ns,
            2 * b.drive_heartbeat_ns,
            "two drive heartbeats, so that one may come late",
        ),
        at_least("feedback_age_ms", b.feedback_age_ns, 2 * b.period_ns, "two periods"),
        row("watchdog_ms", b.watchdog_ns, b.feedback_age_ns, "the greatest age of feedback"),
        row("watcher_beat_ms", b.watcher_beat_ns, b.period_ns, "a period, in which it beats"),
        at_least(
            "cognition_heartbeat_ms",
            b.cognition_heartbeat_ns,
            2 * b.period_ns,
            "two periods",
        ),
    ]
}

/// Drives count watchdog and heartbeats in whole ms, 16 bits wide.
fn whole_milliseconds(sourced: &Sourced) -> Result<(), Objection> {
    let b = &sourced.budgets;
    for (key, ns) in [("watchdog_ms", b.watchdog_ns), ("drive_heartbeat_ms", b.drive_heartbeat_ns)]
    {
        if ns % MS_NS != 0 || ns == 0 {
            let allowed = "whole milliseconds: the drives count in them (1016h, 1017h)";
            return Err(sourced.object(key, milliseconds(ns), allowed));
        }
    }
    Ok(())
}

fn hazard(
    axis: &AxisSpec,
    table: &Spanned<file::Axis>,
    budgets: &Budgets,
    slowest: u32,
) -> Result<(), Objection> {
    let limits = &axis.limits;
    let braking_s = limits.velocity_max_rad_s / limits.quick_stop_deceleration_rad_s2;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "both positive by their rules; saturates"
    )]
    let braking = (braking_s * 1e9).ceil() as u64;
    let before = budgets.watchdog_ns + heartbeat_ns(slowest);
    let need = before.saturating_add(braking);
    if need <= axis.hazard_ns {
        return Ok(());
    }
    let found = format!(
        "{} for the watchdog and {} to brake from {} rad/s",
        milliseconds(before),
        milliseconds(braking),
        limits.velocity_max_rad_s,
    );
    let allowed = format!("{} together, the axis' hazard budget", milliseconds(axis.hazard_ns));
    let mend = "Lower velocity_max_rad_s, raise quick_stop_deceleration_rad_s2, or, if the \
                surroundings bear it, hazard_ms.";
    let table = table.get_ref();
    let written = table.hazard_ms.as_ref().map(|raw| raw.span());
    let span = written.unwrap_or(table.limits.velocity_max_rad_s.span());
    Err(Objection::at(span, found, allowed).mend(mend))
}
