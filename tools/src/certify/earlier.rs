//! Trials of earlier reports, which a campaign goes on from: one that was interrupted, or one that is
//! made in pieces. They count only where nothing that they depend on has changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mechos_robot::certificate::{FORMAT, Provenance};
use serde::Deserialize;
use serde_json::Value;

use super::faults::Fault;
use super::trial::Trial;

/// Why an earlier report cannot be gone on from.
#[derive(Debug, thiserror::Error)]
pub enum EarlierError {
    /// It cannot be read.
    #[error("cannot read the earlier report {path}: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// It speaks of something else.
    #[error(
        "the earlier report {path} is not of this machine: {what} is {there} there and {here} here; \
         without --with a campaign begins anew"
    )]
    Another {
        /// The file.
        path: PathBuf,
        /// What differs.
        what: String,
        /// In the report.
        there: String,
        /// Here.
        here: String,
    },
    /// Two reports hold one trial: one of its results would have to be dropped.
    #[error("{path} holds trial {number} of {fault} once more; leave one of the reports out")]
    Twice {
        /// The file.
        path: PathBuf,
        /// The fault.
        fault: String,
        /// The trial's number.
        number: u32,
    },
}

/// What is read of a report.
#[derive(Deserialize)]
struct Piece {
    format: u32,
    provenance: Provenance,
    simulated_drives: bool,
    seed: u64,
    whole_ns: u64,
    warnings: Vec<String>,
    faults: Vec<PieceOfFault>,
}

#[derive(Deserialize)]
struct PieceOfFault {
    name: String,
    each: Vec<Trial>,
}

/// What earlier reports hold.
#[derive(Debug, Default)]
pub struct Earlier {
    trials: BTreeMap<(Fault, u32), Trial>,
    seed: Option<u64>,
    /// How long they took together, ns.
    pub whole_ns: u64,
    /// What the host did not grant then.
    pub warnings: Vec<String>,
}

impl Earlier {
    /// Reads them all; `asked_seed` is the one on the command line.
    ///
    /// # Errors
    /// The first that does not fit, with what differs.
    pub fn read(
        paths: &[PathBuf],
        here: &Provenance,
        simulated_drives: bool,
        asked_seed: Option<u64>,
    ) -> Result<Earlier, EarlierError> {
        let mut all = Earlier { seed: asked_seed, ..Earlier::default() };
        for path in paths {
            let unreadable =
                |reason: String| EarlierError::Unreadable { path: path.clone(), reason };
            let text = std::fs::read_to_string(path).map_err(|e| unreadable(e.to_string()))?;
            let piece: Piece =
                serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
            all.take(path, piece, here, simulated_drives)?;
        }
        Ok(all)
    }

    fn take(
        &mut self,
        path: &Path,
        piece: Piece,
        here: &Provenance,
        simulated_drives: bool,
    ) -> Result<(), EarlierError> {
        let another = |what: &str, there: String, here: String| EarlierError::Another {
            path: path.to_owned(),
            what: what.to_owned(),
            there,
            here,
        };
        let seed = *self.seed.get_or_insert(piece.seed);
        let others = [
            ("its form", piece.format.to_string(), FORMAT.to_string()),
            ("the seed", piece.seed.to_string(), seed.to_string()),
            (
                "`simulated drives`",
                piece.simulated_drives.to_string(),
                simulated_drives.to_string(),
            ),
        ];
        let other = others.into_iter().find(|(_, there, here)| there != here);
        if let Some((what, there, here)) = other
            .map(|(what, there, here)| (what.to_owned(), there, here))
            .or_else(|| difference(&piece.provenance, here))
        {
            return Err(another(&what, there, here));
        }
        for fault in piece.faults {
            let known = Fault::ALL.into_iter().find(|known| known.name() == fault.name);
            let Some(known) = known else {
                return Err(another("a fault", fault.name, "not known".to_owned()));
            };
            for trial in fault.each {
                let number = trial.number;
                if self.trials.insert((known, number), trial).is_some() {
                    let (path, fault) = (path.to_owned(), fault.name);
                    return Err(EarlierError::Twice { path, fault, number });
                }
            }
        }
        self.whole_ns = self.whole_ns.saturating_add(piece.whole_ns);
        let new = piece.warnings.into_iter().filter(|warning| !self.warnings.contains(warning));
        let new: Vec<String> = new.collect();
        self.warnings.extend(new);
        Ok(())
    }

    /// The seed to go on with.
    pub fn seed(&self) -> Option<u64> {
        self.seed
    }

    /// Takes a trial out.
    pub fn trial(&mut self, fault: Fault, number: u32) -> Option<Trial> {
        self.trials.remove(&(fault, number))
    }

    /// How many trials of a fault there are.
    pub fn count(&self, fault: Fault) -> usize {
        self.trials.keys().filter(|(of, _)| *of == fault).count()
    }

    /// What is left of a fault: trials past those that were asked for. None is dropped.
    pub fn rest(&mut self, fault: Fault) -> Vec<Trial> {
        let later = self.trials.split_off(&(fault, 0));
        let (own, others): (BTreeMap<_, _>, _) =
            later.into_iter().partition(|((of, _), _)| *of == fault);
        self.trials.extend::<BTreeMap<_, _>>(others);
        own.into_values().collect()
    }
}

/// The first thing on which a measurement depends and that differs; when it was taken does not count.
fn difference(there: &Provenance, here: &Provenance) -> Option<(String, String, String)> {
    let fields = |provenance: &Provenance| match serde_json::to_value(provenance) {
        Ok(Value::Object(mut map)) => {
            map.remove("taken_at");
            map
        }
        _ => serde_json::Map::new(),
    };
    let (there, here) = (fields(there), fields(here));
    let names = there.keys().chain(here.keys());
    let differs = |name: &&String| there.get(*name) != here.get(*name);
    let words =
        |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
    let name = names.into_iter().find(differs)?;
    Some((format!("`{name}`"), words(there.get(name)), words(here.get(name))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certify::report::tests::report;
    use crate::testing::Folder;

    /// A report of `times` trials of every fault, written to a file; and where it was made.
    fn written(folder: &Folder, name: &str, times: u32) -> (PathBuf, Provenance) {
        let report = report(times, |_, _, number| Some(u64::from(number) + 1));
        let path = folder.path().join(name);
        std::fs::write(&path, serde_json::to_string(&report).unwrap()).unwrap();
        (path, report.provenance)
    }

    #[test]
    fn every_trial_comes_back_as_it_was_written() {
        let folder = Folder::new("earlier");
        let (path, mut here) = written(&folder, "a.json", 3);
        here.taken_at = "later".into();
        let mut earlier = Earlier::read(&[path], &here, true, None).unwrap();
        assert_eq!(earlier.seed(), Some(7));
        assert_eq!(earlier.count(Fault::RtKilled), 3);
        let trial = earlier.trial(Fault::RtKilled, 2).unwrap();
        assert_eq!((trial.number, trial.values[0].1), (2, 3));
        assert!(earlier.trial(Fault::RtKilled, 2).is_none());
        let rest: Vec<u32> = earlier.rest(Fault::RtKilled).iter().map(|t| t.number).collect();
        assert_eq!((rest, earlier.count(Fault::RtStopped)), (vec![0, 1], 3));
    }

    #[test]
    fn what_was_measured_elsewhere_does_not_count() {
        let folder = Folder::new("earlier-other");
        let (path, here) = written(&folder, "a.json", 1);
        let read = |here: &Provenance, drives, seed| {
            Earlier::read(std::slice::from_ref(&path), here, drives, seed).unwrap_err().to_string()
        };
        let other = Provenance { rt_sha256: "other".into(), ..here.clone() };
        assert!(read(&other, true, None).contains("`rt_sha256` is \"\" there and \"other\" here"));
        assert!(read(&here, false, None).contains("simulated drives"));
        assert!(read(&here, true, Some(8)).contains("the seed is 7 there and 8 here"));
    }

    #[test]
    fn a_trial_counts_once_and_a_file_that_is_none_is_named() {
        let folder = Folder::new("earlier-twice");
        let (path, here) = written(&folder, "a.json", 2);
        let twice = Earlier::read(&[path.clone(), path], &here, true, None).unwrap_err();
        assert!(twice.to_string().contains("trial 0 of cognition-killed once more"), "{twice}");
        let none = Earlier::read(&[folder.path().join("none")], &here, true, None).unwrap_err();
        assert!(none.to_string().contains("cannot read the earlier report"), "{none}");
    }
}
