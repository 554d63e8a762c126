//! The report as a page for a person: one file, no script, nothing fetched.

use std::fmt::Write;

use hdrhistogram::Histogram;

use super::report::{FaultReport, MeasureReport, Report};
use crate::plot::{Series, distribution_svg};

/// Longest time that a plot holds, ns.
const PLOT_MAX_NS: u64 = 60_000_000_000;

const STYLE: &str = "\
body{font:15px/1.45 system-ui,sans-serif;color:#1c2430;max-width:1040px;margin:32px auto;padding:0 20px}\
h1{font-size:26px;margin:0 0 4px}h2{font-size:19px;margin:40px 0 8px;border-top:1px solid #d5dae1;padding-top:20px}\
.notice{border:2px solid #b58900;background:#fff8e1;padding:12px 16px;font-weight:600;margin:0 0 20px}\
.verdict{padding:10px 16px;font-size:17px;font-weight:600;margin:16px 0}\
.good{background:#e5f4ea;color:#17602f}.bad{background:#fde8e8;color:#9b1c1c}\
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;margin:10px 0}\
th,td{padding:5px 9px;border-bottom:1px solid #e4e8ee;text-align:left;vertical-align:top}\
th{background:#f4f6f9;font-weight:600}td.n,th.n{text-align:right;white-space:nowrap}\
tr.over td{background:#fdf0f0}td.key{color:#566070;white-space:nowrap;width:1%}\
code{font:13px ui-monospace,monospace;overflow-wrap:anywhere}p.small{color:#566070;font-size:13px}\
svg{max-width:100%;height:auto}b.no{color:#9b1c1c}b.yes{color:#17602f}";

/// Renders it.
pub fn render(report: &Report) -> String {
    let mut page = String::new();
    let robot = escape(&report.robot);
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>mechos certify: {robot}</title><style>{STYLE}</style>\
         <p class=\"notice\">{}</p><h1>mechos certify: {robot}</h1>",
        escape(report.notice)
    );
    page.push_str(&verdict(report));
    page.push_str(&provenance(report));
    page.push_str(&summary(report));
    for fault in &report.faults {
        page.push_str(&section(report, fault));
    }
    page.push_str("</html>\n");
    page
}

fn verdict(report: &Report) -> String {
    let trials: u32 = report.faults.iter().map(|fault| fault.trials).sum();
    let faults = report.faults.len();
    let over: Vec<&str> =
        report.faults.iter().filter(|fault| !fault.held).map(|fault| fault.name).collect();
    let time = if report.is_counted() {
        format!(
            "Measured in {}: evidence of order and against regressions, never a certificate of a \
             host.",
            report.time
        )
    } else {
        format!("Measured in {} on this host.", report.time)
    };
    let (class, text) = if over.is_empty() {
        ("good", format!("Every budget held: {trials} trials of {faults} faults."))
    } else {
        ("bad", format!("NOT HELD: {} ({trials} trials of {faults} faults).", over.join(", ")))
    };
    format!("<p>{}</p><p class=\"verdict {class}\">{}</p>", escape(&time), escape(&text))
}

fn provenance(report: &Report) -> String {
    let from = &report.provenance;
    let host = &from.host;
    let kernel = format!("{} {}", host.kernel_release, host.kernel_version);
    let preempt = if host.preempt_rt { "PREEMPT_RT" } else { "not PREEMPT_RT" };
    let drives = if report.simulated_drives { "simulated" } else { "real" };
    let rate = 1e9 / report.period_ns.max(1) as f64;
    let rows = [
        ("taken", from.taken_at.clone()),
        ("time", report.time.clone()),
        ("host", format!("{}, {} CPUs, {}", host.host, host.cpus, host.cpu_model)),
        ("kernel", format!("{kernel} ({preempt})")),
        ("command line", host.command_line.clone()),
        ("robot", format!("{}, {drives} drives, {rate:.0} Hz", report.robot)),
        ("profile", report.profile.to_owned()),
        ("configuration", format!("sha256 {}", from.config_sha256)),
        ("mechos-rt", format!("sha256 {}", from.rt_sha256)),
        ("mechos-guardian", format!("sha256 {}", from.guardian_sha256)),
        ("versions", from.versions.join(", ")),
        ("draws", format!("seed {}, {} trials of each fault", report.seed, report.times)),
        ("times", report.clock.to_owned()),
        ("took", duration(report.whole_ns)),
        ("host's refusals", report.warnings.join("; ")),
    ];
    let mut table = "<table>".to_owned();
    for (key, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = write!(
            table,
            "<tr><td class=\"key\">{key}</td><td><code>{}</code></td></tr>",
            escape(value)
        );
    }
    table + "</table>"
}

fn summary(report: &Report) -> String {
    let mut table = "<h2>Maxima</h2><table><tr><th>fault</th><th class=\"n\">trials</th>\
                     <th>stopped by</th><th>measured</th><th class=\"n\">p50</th>\
                     <th class=\"n\">max</th><th class=\"n\">budget</th>\
                     <th class=\"n\">standstill max</th><th class=\"n\">budget</th><th>held</th></tr>"
        .to_owned();
    for fault in &report.faults {
        let class = if fault.held { "" } else { " class=\"over\"" };
        let first = fault.first();
        let rest = fault.standstill();
        let failed = match fault.failed {
            0 => String::new(),
            failed => format!("<br><b class=\"no\">{failed} not measured</b>"),
        };
        let _ = write!(
            table,
            "<tr{class}><td><a href=\"#{name}\">{name}</a></td><td class=\"n\">{}{failed}</td>\
             <td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td></tr>",
            fault.trials,
            who(fault),
            first.map_or("", |measure| measure.name),
            time(first.and_then(|measure| measure.p50_ns)),
            time(first.and_then(|measure| measure.max_ns)),
            time(first.and_then(|measure| measure.budget_ns)),
            time(rest.and_then(|measure| measure.max_ns)),
            time(rest.and_then(|measure| measure.budget_ns)),
            yes(fault.held),
            name = fault.name,
        );
    }
    table
        + "</table><p class=\"small\">Nothing is removed: the maximum is the largest of all trials, \
             and a trial without a measurement counts as not held.</p>"
}

fn section(report: &Report, fault: &FaultReport) -> String {
    let mut text = format!(
        "<h2 id=\"{}\">{}</h2><p>{} trials, stopped by: {}</p><table><tr><th>measured</th>\
         <th class=\"n\">values</th><th class=\"n\">p50</th><th class=\"n\">p90</th>\
         <th class=\"n\">p99</th><th class=\"n\">max</th><th class=\"n\">budget</th>\
         <th>how the budget comes about</th><th>held</th></tr>",
        fault.name,
        escape(fault.title),
        fault.trials,
        who(fault)
    );
    for measure in &fault.measures {
        let class = if measure.held { "" } else { " class=\"over\"" };
        let held = measure.budget_ns.map_or(String::new(), |_| yes(measure.held));
        let _ = write!(
            text,
            "<tr{class}><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td>{}</td><td>{held}</td></tr>",
            measure.name,
            measure.count,
            time(measure.p50_ns),
            time(measure.p90_ns),
            time(measure.p99_ns),
            time(measure.max_ns),
            time(measure.budget_ns),
            escape(&measure.how),
        );
    }
    text.push_str("</table>");
    text.push_str(&plot(report, fault));
    let failed: Vec<_> = fault.each.iter().filter(|trial| trial.failed.is_some()).collect();
    if !failed.is_empty() {
        text.push_str("<p><b class=\"no\">Trials without a measurement</b></p><table>");
        for trial in failed {
            let reason = trial.failed.as_deref().unwrap_or_default();
            let _ = write!(
                text,
                "<tr><td class=\"key\">trial {}</td><td>{}</td></tr>",
                trial.number,
                escape(reason)
            );
        }
        text.push_str("</table>");
    }
    text
}

fn plot(report: &Report, fault: &FaultReport) -> String {
    let shown: Vec<(&MeasureReport, Histogram<u64>)> = [fault.first(), fault.standstill()]
        .into_iter()
        .flatten()
        .filter_map(|measure| Some((measure, histogram(measure)?)))
        .collect();
    let mut series: Vec<Series> = Vec::new();
    for (measure, histogram) in &shown {
        if series.iter().all(|before| before.name != measure.name) {
            series.push(Series { name: measure.name, histogram, budget_ns: measure.budget_ns });
        }
    }
    let subtitle = format!(
        "{}, profile {}, {}, {} trials",
        report.robot, report.profile, report.time, fault.trials
    );
    match distribution_svg(fault.title, &subtitle, &series) {
        // A page has one XML head at the most, and it is none here.
        Ok(svg) => svg.split_once("<svg").map_or(String::new(), |(_, rest)| format!("<svg{rest}")),
        Err(error) => format!("<p class=\"small\">{}</p>", escape(&error.to_string())),
    }
}

fn histogram(measure: &MeasureReport) -> Option<Histogram<u64>> {
    let mut histogram = Histogram::new_with_bounds(1, PLOT_MAX_NS, 3).ok()?;
    for value in &measure.values_ns {
        histogram.saturating_record(*value);
    }
    Some(histogram)
}

fn who(fault: &FaultReport) -> String {
    let all = fault.stopped_by.iter();
    let one = |(who, count): (&String, &u32)| match *count == fault.trials {
        true => escape(who),
        false => format!("{} ({count})", escape(who)),
    };
    all.map(one).collect::<Vec<_>>().join("<br>")
}

fn yes(held: bool) -> String {
    if held { "<b class=\"yes\">yes</b>" } else { "<b class=\"no\">NO</b>" }.to_owned()
}

/// A time as a person reads it, ms with three digits behind the point; a dash for none.
pub fn time(ns: Option<u64>) -> String {
    ns.map_or("–".to_owned(), |ns| format!("{:.3} ms", ns as f64 / 1e6))
}

fn duration(ns: u64) -> String {
    format!("{:.1} s", ns as f64 / 1e9)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certify::faults::Fault;
    use crate::certify::report::tests::report;

    #[test]
    fn the_notice_stands_before_everything_else() {
        let page = render(&report(3, |_, _, number| Some(1_000 + u64::from(number))));
        let body = page.split_once("</style>").unwrap().1;
        assert!(
            body.starts_with("<p class=\"notice\">This is evidence of a test. It is not a safety")
        );
        assert!(page.contains("wall time") && page.contains("Every budget held"));
        assert_eq!(page.matches("<svg").count(), Fault::ALL.len());
        for fault in Fault::ALL {
            assert!(page.contains(&format!("id=\"{}\"", fault.name())));
        }
    }

    #[test]
    fn what_did_not_hold_is_said_at_the_top_and_in_its_row() {
        let page = render(&report(3, |fault, _, number| {
            (fault != Fault::BusLooping || number != 1).then_some(1_000)
        }));
        assert!(page.contains("NOT HELD: bus-looping (51 trials of 17 faults)"));
        assert!(page.contains("1 not measured") && page.contains("nothing &lt;was&gt; measured"));
    }

    #[test]
    fn counted_time_is_never_a_hosts_certificate() {
        let mut report = report(1, |_, _, _| Some(1));
        report.provenance.host.counted = Some("counted shift 0".into());
        report.time = report.provenance.host.time();
        let page = render(&report);
        assert!(page.contains("counted shift 0") && page.contains("never a certificate of a host"));
    }
}
