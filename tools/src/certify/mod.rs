//! `mechos certify`: makes every fault of the five stops, many times each, while the arm moves;
//! measures the stops from a process of its own; writes the report that arming can require.
//!
//! From the outside in: this campaign; `trial.rs` one trial, `who.rs` who stopped it; `bench.rs` the
//! machine under test; `observer.rs` the process that listens, `watch.rs` its records here,
//! `evidence.rs` what they show; `faults.rs`, `schedule.rs`, `budget.rs` what is made, when, and what
//! it may take; `report.rs`, `page.rs` what is written, `earlier.rs` what is gone on from.

mod bench;
mod budget;
mod earlier;
mod evidence;
mod faults;
pub mod observer;
mod page;
mod priority;
mod progress;
mod record;
mod report;
mod rescue;
mod schedule;
mod trial;
mod watch;
mod who;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use mechos_robot::certificate::REPORT_MAX;
use serde_json::json;

use crate::cli::{CertifyOptions, Place, UpOptions};
use crate::clock::now_ns;
use crate::failure::Failure;
use crate::up::StartError;
use crate::{print, provenance};
use bench::Bench;
use budget::budgets;
use earlier::Earlier;
use faults::Fault;
use progress::Progress;
use report::{FaultReport, Head, Report};
use trial::Trial;

/// Files of a report.
const JSON: &str = "certificate.json";
const PAGE: &str = "certificate.html";

/// Runs the campaign; the exit status is 0 only if every budget held.
pub fn run(options: &CertifyOptions) -> ExitCode {
    match campaign(options) {
        Ok((report, folder)) => {
            tell(&report, &folder, options.json);
            ExitCode::from(u8::from(!report.held))
        }
        Err(failure) => {
            if options.json {
                print::object(&failure.json());
            } else {
                print::error(&failure);
            }
            failure.exit_code()
        }
    }
}

fn campaign(options: &CertifyOptions) -> Result<(Report, PathBuf), Failure> {
    let began_ns = now_ns();
    let words = |text: String| Failure::Start(StartError::Options(text));
    let asked = Fault::list(&options.faults).map_err(words)?;
    std::fs::create_dir_all(&options.out)
        .map_err(|source| StartError::file("make the folder", &options.out, source))?;
    let mut bench = Bench::start(&up_options(options))?;
    let robot = bench.machine.robot.clone();
    trial::takes_faults(&bench).map_err(words)?;
    let simulated_drives = robot.is_simulated() || options.sim_drives;
    let (faults, left_out): (Vec<Fault>, Vec<Fault>) =
        asked.into_iter().partition(|fault| simulated_drives || !fault.is_simulated_only());
    let provenance = provenance::take(&bench.machine.text, &bench.machine.folder)
        .map_err(|source| StartError::file("read a program in", &bench.machine.folder, source))?;
    let mut earlier = Earlier::read(&options.with, &provenance, simulated_drives, options.seed)
        .map_err(|error| words(error.to_string()))?;
    let seed = earlier.seed().unwrap_or_else(|| now_ns() & 0xffff_ffff);
    // What an earlier report holds stays in the new one.
    let faults: Vec<Fault> = Fault::ALL
        .into_iter()
        .filter(|fault| faults.contains(fault) || earlier.count(*fault) > 0)
        .collect();
    let mut progress = Progress::new(faults.len(), options.times);
    progress.say(&format!(
        "{} faults, {} trials each, seed {seed}, profile {}, {}",
        faults.len(),
        options.times,
        robot.profile,
        provenance.host.time()
    ));
    for fault in left_out {
        progress.say(&format!("{}: left out, only a simulated drive can have it", fault.name()));
    }
    bench.ready().map_err(words)?;
    let mut warnings = std::mem::take(&mut earlier.warnings);
    let new = bench.status().map(|status| status.host.warnings).unwrap_or_default();
    warnings
        .extend(new.into_iter().filter(|warning| !warnings.contains(warning)).collect::<Vec<_>>());
    let (robot, times) = (&robot, options.times);
    let head = Head { provenance, robot, simulated_drives, seed, times, warnings };
    let began_ns = began_ns.saturating_sub(earlier.whole_ns);
    let so_far = |reports: &[FaultReport]| {
        Report::new(head.clone(), reports.to_vec(), now_ns().saturating_sub(began_ns))
    };
    let (mut reports, mut ended) = (Vec::new(), None);
    for fault in faults {
        let each = match ended {
            None => trials(&mut bench, fault, &head, &mut earlier, &mut progress, &mut ended),
            // Earlier trials are not lost with those that could not be made.
            Some(_) => earlier.rest(fault),
        };
        if each.is_empty() {
            continue;
        }
        let report = FaultReport::new(fault, &budgets(robot, fault), each);
        progress.over(&report);
        reports.push(report);
        // An hour's work is not lost with the next one.
        write(&so_far(&reports), &options.out)?;
    }
    if let Some(failure) = ended {
        let path = options.out.join(JSON);
        progress
            .say(&format!("the trials so far are in {0}; go on with --with {0}", path.display()));
        return Err(failure);
    }
    let runtime = bench.machine.runtime.clone();
    drop(bench);
    let report = so_far(&reports);
    let length = write(&report, &options.out)?;
    if length > REPORT_MAX {
        progress.say(&format!(
            "the report is {} MiB long: mechos-rt arms by none above {} MiB, take fewer --times",
            length >> 20,
            REPORT_MAX >> 20
        ));
    }
    match (&options.runtime, report.held) {
        (None, true) => drop(std::fs::remove_dir_all(&runtime)),
        _ => progress.say(&format!("the processes' logs are in {}", runtime.display())),
    }
    Ok((report, options.out.clone()))
}

/// All trials of one fault, those of earlier reports in their places. One from which the machine did
/// not come back is followed by a new machine. Where they cannot go on, `ended` says why.
fn trials(
    bench: &mut Bench,
    fault: Fault,
    head: &Head,
    earlier: &mut Earlier,
    progress: &mut Progress,
    ended: &mut Option<Failure>,
) -> Vec<Trial> {
    let budgets = budgets(&bench.machine.robot, fault);
    let mut each = Vec::new();
    for number in 0..head.times {
        if let Some(trial) = earlier.trial(fault, number) {
            progress.known();
            each.push(trial);
            continue;
        }
        if let Some(signal) = bench.machine.asked.signal() {
            *ended = Some(StartError::Interrupted(signal).into());
            break;
        }
        let draw = schedule::draw(&bench.machine.robot, head.seed, fault, number);
        let trial = trial::run(bench, fault, number, &draw, &budgets);
        if bench.machine.asked.signal().is_some() && trial.failed.is_some() {
            // The interruption's own failure is nobody's measurement.
            continue;
        }
        progress.trial(fault, &trial);
        let is_lost = trial.failed.as_ref().is_some_and(|text| text.contains("afterwards: "));
        each.push(trial);
        if is_lost {
            progress.say("the machine did not come back: starting it anew");
            if let Err(text) = bench.start_anew().and_then(|()| bench.ready()) {
                *ended = Some(Failure::Start(StartError::Options(text)));
                break;
            }
        }
    }
    each.extend(earlier.rest(fault));
    each
}

fn up_options(options: &CertifyOptions) -> UpOptions {
    let own = std::env::temp_dir().join(format!("mechos-certify-{}", std::process::id()));
    UpOptions {
        robot: options.robot.clone(),
        place: Place { runtime: options.runtime.clone().or(Some(own)), json: true },
        no_arm: true,
        certifying: true,
        sim_drives: options.sim_drives,
        allow_faults: options.allow_faults || options.sim_drives,
        ..UpOptions::default()
    }
}

/// Returns how long the report is, bytes.
fn write(report: &Report, folder: &Path) -> Result<usize, StartError> {
    let text = serde_json::to_string(report).unwrap_or_default();
    let length = text.len();
    for (name, text) in [(JSON, text), (PAGE, page::render(report))] {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|source| StartError::file("write", &path, source))?;
    }
    Ok(length)
}

fn tell(report: &Report, folder: &Path, json: bool) {
    let (file, page) = (folder.join(JSON), folder.join(PAGE));
    if json {
        let fault = |fault: &FaultReport| {
            let measure = |measure: &report::MeasureReport| {
                json!({ "name": measure.name, "max_ns": measure.max_ns,
                        "budget_ns": measure.budget_ns, "held": measure.held })
            };
            let measures: Vec<_> = fault.measures.iter().map(measure).collect();
            json!({ "name": fault.name, "trials": fault.trials, "failed": fault.failed,
                    "held": fault.held, "measures": measures })
        };
        let faults: Vec<_> = report.faults.iter().map(fault).collect();
        print::object(&json!({ "ok": report.held, "notice": report.notice, "time": report.time,
                               "profile": report.profile, "seed": report.seed,
                               "report": file, "page": page, "faults": faults }));
        return;
    }
    print::line(report.notice);
    print::line(progress::table(report));
    print::line(format!("report {}, page {}", file.display(), page.display()));
}
