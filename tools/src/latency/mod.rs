//! `mechos latency`: what cyclictest is for a timer, for the whole path from the timer over the
//! planner's intent to the frame on the bus, and back from a frame to the planner.
//!
//! It is the planner itself, in a process of its own, of a machine that it starts, arms and ends in
//! order. Nothing that was measured is removed.

mod children;
mod clock;
mod cyclictest;
mod error;
mod load;
mod machine;
mod measure;
mod moves;
pub mod options;
mod path;
mod peer;
mod robot;
mod text;
mod versus;
mod window;

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path as FilePath, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use mechos_robot::Wake;

pub use error::LatencyError;

use crate::failure::Failure;
use crate::provenance::{self, Provenance};
use crate::up::signals::Asked;
use crate::{print, runtime_dir};
use children::Helper;
use cyclictest::Found;
use machine::Machine;
use measure::{Length, Measured, Turn};
use options::{LatencyOptions, LoadOptions, PeerOptions};
use path::{Distribution, Path};
use versus::Comparison;

/// How long the load may take to end.
const LOAD_MAX: Duration = Duration::from_secs(30);

/// Measures and prints.
///
/// # Errors
/// `Failure`, in words for a person.
pub fn run(options: &LatencyOptions) -> Result<ExitCode, Failure> {
    let place = Place::new(options)?;
    let asked_robot = robot::read(options, &place.runtime)?;
    if !options.attach && !asked_robot.robot.is_simulated() && !options.sim_drives {
        return Err(LatencyError::Options(
            "this robot file names a real bus, and a real robot is not armed from here. Start \
             `mechos up --no-cognition`, then `mechos latency --attach`, then `mechos arm`; it moves \
             every axis by up to 0.01 rad (m)"
                .to_owned(),
        )
        .into());
    }
    let asked = Asked::watch(false).map_err(|source| {
        LatencyError::file("watch signals of", FilePath::new("mechos"), source)
    })?;
    let session = Session { options, robot: asked_robot, place, asked };
    let load = session.load()?;
    let (measured, found) = session.measure()?;
    if let Some(load) = load {
        load.end(LOAD_MAX)?;
    }
    session.show(&measured, found.as_ref())
}

/// The measuring planner, see `peer.rs`.
///
/// # Errors
/// `Failure`, in words for a person.
pub fn plan(options: &PeerOptions) -> Result<(), Failure> {
    Ok(peer::run(options).map_err(LatencyError::from)?)
}

/// The load, see `load.rs`.
///
/// # Errors
/// `Failure`, in words for a person.
pub fn load(options: &LoadOptions) -> Result<(), Failure> {
    let helper = |how: String| LatencyError::Helper { what: "the load", how };
    match load::run(options, std::io::stdin().lock()) {
        Ok(0) => Ok(()),
        Ok(wrong) => Err(helper(format!("{wrong} of its threads failed")).into()),
        Err(error) => Err(helper(error.to_string()).into()),
    }
}

/// Where the machine runs: named, or a directory of our own that goes with us.
struct Place {
    runtime: PathBuf,
    own: bool,
}

impl Place {
    fn new(options: &LatencyOptions) -> Result<Place, Failure> {
        let named = options.place.runtime.as_deref();
        if options.attach {
            return Ok(Place { runtime: runtime_dir::existing(named)?, own: false });
        }
        if named.is_some() {
            return Ok(Place { runtime: runtime_dir::prepare(named, None)?, own: false });
        }
        let name = format!("mechos-latency-{}", std::process::id());
        let runtime = std::env::temp_dir().join(name);
        let made = std::fs::DirBuilder::new().mode(0o700).create(&runtime);
        made.map_err(|source| LatencyError::file("make", &runtime, source))?;
        Ok(Place { runtime, own: true })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.own {
            let _ = std::fs::remove_dir_all(&self.runtime);
        }
    }
}

struct Session<'a> {
    options: &'a LatencyOptions,
    robot: robot::Asked,
    place: Place,
    asked: Asked,
}

impl Session<'_> {
    fn load(&self) -> Result<Option<Helper>, LatencyError> {
        if self.options.load.is_empty() {
            return Ok(None);
        }
        let kinds: Vec<_> = self.options.load.iter().map(|kind| kind.word()).collect();
        let mut command = machine::own_program()?;
        command.args(["latency-load", "--kinds", &kinds.join(",")]);
        command.arg("--folder").arg(std::env::temp_dir());
        Helper::start("the load", command).map(Some)
    }

    fn measure(&self) -> Result<(Measured, Option<Found>), Failure> {
        if self.options.attach {
            let machine = Machine::attach(&self.place.runtime);
            return Ok((self.turn(self.length(1), 0).measure(&machine)?, None));
        }
        if !self.options.versus_cyclictest {
            return Ok((self.block(self.length(1), 0)?, None));
        }
        let length = self.length(self.options.blocks);
        let rate_hz = f64::from(self.robot.robot.rate_hz);
        let mut sides: Option<(Measured, Found)> = None;
        for number in 0..self.options.blocks {
            let measured = self.block(length, u64::from(number))?;
            let cycles = match length {
                Length::Cycles(cycles) => cycles,
                Length::Time(length) => (length.as_secs_f64() * rate_hz).round() as u64,
            };
            let (robot, folder) = (&self.robot.robot, &self.place.runtime);
            let found = versus::run(robot, cycles.max(1), folder, &self.asked)?;
            match &mut sides {
                None => sides = Some((measured, found)),
                Some((ours, theirs)) => {
                    ours.add(&measured);
                    theirs.wake.add(&found.wake);
                    theirs.overflows += found.overflows;
                }
            }
        }
        let none = || LatencyError::Options("--blocks must be at least 1".to_owned());
        let (measured, found) = sides.ok_or_else(none)?;
        Ok((measured, Some(found)))
    }

    /// One turn's share of what is to be measured.
    fn length(&self, turns: u32) -> Length {
        match self.options.cycles {
            Some(cycles) => Length::Cycles(cycles.div_ceil(u64::from(turns.max(1)))),
            None => Length::Time(self.options.length / turns.max(1)),
        }
    }

    fn turn(&self, length: Length, number: u64) -> Turn<'_> {
        Turn {
            options: self.options,
            robot: &self.robot.robot,
            runtime: &self.place.runtime,
            length,
            seed: self.options.seed.wrapping_add(number),
            asked: &self.asked,
        }
    }

    /// Where and with what.
    fn provenance(&self) -> Result<Provenance, LatencyError> {
        let unread = |source| {
            LatencyError::file("read the programs beside", FilePath::new("mechos"), source)
        };
        let own = std::env::current_exe().map_err(unread)?;
        let folder = own.parent().unwrap_or(FilePath::new("/"));
        provenance::take(&self.robot.text, folder).map_err(unread)
    }

    /// The machine up, measured, and down again.
    fn block(&self, length: Length, number: u64) -> Result<Measured, Failure> {
        let runtime = &self.place.runtime;
        let file = runtime.join("asked.toml");
        std::fs::write(&file, &self.robot.text)
            .map_err(|source| LatencyError::file("write", &file, source))?;
        let machine = Machine::start(self.options, &self.robot.robot, &file, runtime)?;
        let measured = self.turn(length, number).measure(&machine);
        let ended = machine.end();
        let _ = std::fs::remove_file(&file);
        let measured = measured?;
        ended?;
        Ok(measured)
    }

    fn show(&self, measured: &Measured, found: Option<&Found>) -> Result<ExitCode, Failure> {
        let spins = self.robot.robot.threads.wake != Wake::Sleep;
        let empty = Distribution::empty(Path::FeedbackSeen).map_err(LatencyError::from)?;
        let wake = measured.distributions.first().unwrap_or(&empty);
        let comparison = found.map(|found| Comparison::new(wake, &found.wake, spins));
        let result = text::Result {
            options: self.options,
            robot: &self.robot.robot,
            provenance: self.provenance()?,
            measured,
            versus: found.zip(comparison.as_ref()),
        };
        if let Some(path) = &self.options.svg {
            let svg = result.svg().map_err(LatencyError::from)?;
            std::fs::write(path, svg)
                .map_err(|source| LatencyError::file("write", path, source))?;
        }
        if self.options.place.json {
            print::object(&result.json());
        } else {
            print::line(result.text());
        }
        let broken = comparison.is_some_and(|comparison| !comparison.broken().is_empty());
        Ok(ExitCode::from(u8::from(self.options.check && broken)))
    }
}
