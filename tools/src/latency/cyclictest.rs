//! cyclictest beside the control thread: same priority, CPU and period, in ns.
//!
//! It counts every ns in a bucket of its own (`-N -h`), so its resolution is the clock's, as ours.
//! What lies past its last bucket it only counts; all but the largest of those are taken as if they
//! lay at the bucket's end, the best case for cyclictest.

use std::ffi::OsString;
use std::path::Path as FilePath;

use mechos_robot::Robot;
use serde_json::Value;

use super::path::{Distribution, Path, Unreadable};

/// The program, of Debian's package rt-tests.
pub const PROGRAM: &str = "cyclictest";
/// Its last bucket, ns. Every ns costs it 8 bytes of locked memory.
const BUCKETS_NS: u64 = 1_000_000;

/// What it was and what it found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its version.
    pub version: String,
    /// Every sample.
    pub wake: Distribution,
    /// Samples past its last bucket.
    pub overflows: u64,
}

/// Why there is nothing to compare with.
#[derive(Debug, thiserror::Error)]
pub enum CyclictestError {
    /// Not installed.
    #[error(
        "there is no cyclictest on the PATH. On Debian: `sudo apt-get install rt-tests`; or measure without --versus-cyclictest"
    )]
    Missing,
    /// Not started.
    #[error("cannot start cyclictest: {0}")]
    Start(std::io::Error),
    /// Ended otherwise than well.
    #[error(
        "cyclictest {how}: {said}. It needs the same rights as mechos-rt: real-time priorities and locked memory"
    )]
    Failed {
        /// How it ended.
        how: String,
        /// Its last words.
        said: String,
    },
    /// Its report is not as expected.
    #[error("cyclictest's report cannot be used: {0}. Known are the reports of rt-tests 2.x")]
    Report(String),
    /// Our own side of it.
    #[error(transparent)]
    Distribution(#[from] Unreadable),
}

/// Its arguments for so many cycles.
pub fn arguments(robot: &Robot, cycles: u64, report: &FilePath) -> Vec<OsString> {
    let control = robot.threads.control;
    let period_us = 1_000_000 / u64::from(robot.rate_hz.max(1));
    let line = format!(
        "-N -m -q -t 1 -p {} -a {} -i {period_us} -l {cycles} -h {BUCKETS_NS}",
        control.priority, control.cpu
    );
    let mut words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
    let mut json = OsString::from("--json=");
    json.push(report);
    words.push(json);
    words
}

/// Reads its JSON report.
///
/// # Errors
/// [`CyclictestError::Report`] names what is missing in it.
pub fn read(report: &str) -> Result<Found, CyclictestError> {
    let wrong = |what: &str| CyclictestError::Report(what.to_owned());
    let report: Value =
        serde_json::from_str(report).map_err(|error| CyclictestError::Report(error.to_string()))?;
    if report.get("resolution_in_ns").and_then(Value::as_u64) != Some(1) {
        return Err(wrong("it is not in ns (`resolution_in_ns` is not 1)"));
    }
    let thread = report.pointer("/thread/0").ok_or_else(|| wrong("no thread 0"))?;
    let number = |key: &str| {
        let value = thread.get(key).and_then(Value::as_u64);
        value.ok_or_else(|| CyclictestError::Report(format!("no number `{key}`")))
    };
    let (cycles, min_ns, max_ns) = (number("cycles")?, number("min")?, number("max")?);
    let buckets = thread.get("histogram").and_then(Value::as_object);
    let mut wake = Distribution::empty(Path::Cyclictest)?;
    for (ns, count) in buckets.ok_or_else(|| wrong("no `histogram`"))? {
        let pair = ns.parse::<u64>().ok().zip(count.as_u64());
        let (ns, count) = pair.ok_or_else(|| wrong("a bucket that is no pair of numbers"))?;
        wake.record_n(ns, count);
    }
    let overflows = cycles.checked_sub(wake.count());
    let overflows = overflows.ok_or_else(|| wrong("more samples than cycles"))?;
    if let Some(others) = overflows.checked_sub(1) {
        wake.record_n(BUCKETS_NS, others);
        wake.record(max_ns);
    }
    if wake.count() > 0 && (wake.min_ns, wake.max_ns) != (min_ns, max_ns) {
        return Err(wrong("its extremes are not those of its histogram"));
    }
    let version = report.get("rt_test_version:").or_else(|| report.get("rt_test_version"));
    let version = version.and_then(Value::as_str).unwrap_or("of unknown version").to_owned();
    Ok(Found { version, wake, overflows })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(histogram: &str, cycles: u64, min: u64, max: u64) -> String {
        format!(
            r#"{{"rt_test_version:": "2.40", "resolution_in_ns": 1, "num_threads": 1,
               "thread": {{"0": {{"histogram": {{{histogram}}}, "cycles": {cycles},
               "min": {min}, "max": {max}, "avg": 1.5, "cpu": 1, "node": 0}}}}}}"#
        )
    }

    #[test]
    fn every_sample_of_a_report_is_taken() {
        let found = read(&report(r#""2890": 3, "3012": 96, "5100": 1"#, 100, 2890, 5100)).unwrap();
        assert_eq!((found.version.as_str(), found.overflows), ("2.40", 0));
        assert_eq!((found.wake.count(), found.wake.min_ns, found.wake.max_ns), (100, 2890, 5100));
    }

    #[test]
    fn what_passed_the_last_bucket_is_kept_and_the_maximum_exact() {
        let found = read(&report(r#""3000": 97"#, 100, 3000, 7_500_001)).unwrap();
        assert_eq!((found.wake.count(), found.overflows), (100, 3));
        assert_eq!(found.wake.max_ns, 7_500_001);
        let past = found.wake.histogram.count_between(BUCKETS_NS, BUCKETS_NS);
        assert_eq!(past, 2);
    }

    #[test]
    fn a_report_that_contradicts_itself_is_refused() {
        let more = read(&report(r#""3000": 97"#, 90, 3000, 3000)).unwrap_err().to_string();
        assert!(more.contains("more samples"), "{more}");
        let extremes = read(&report(r#""3000": 97"#, 97, 3000, 4000)).unwrap_err().to_string();
        assert!(extremes.contains("extremes"), "{extremes}");
        let us = report(r#""3": 9"#, 9, 3, 3).replace("_ns\": 1,", "_ns\": 1000,");
        assert!(read(&us).unwrap_err().to_string().contains("not in ns"));
        assert!(read("Segmentation fault").is_err());
    }

    #[test]
    fn it_runs_as_the_control_thread_does() {
        let robot = Robot::parse(crate::up::ARM6, "arm6.toml").unwrap();
        let words = arguments(&robot, 5_000, FilePath::new("/tmp/r.json"));
        let line: Vec<_> = words.iter().map(|word| word.to_str().unwrap()).collect();
        let expected = "-N -m -q -t 1 -p 70 -a 1 -i 1000 -l 5000 -h 1000000 --json=/tmp/r.json";
        assert_eq!(line.join(" "), expected);
    }
}
