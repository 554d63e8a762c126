//! The benchmark of promise P3: the link between two processes, beside what the machine can do at
//! best and what else there is.
//!
//! The process that measures (`near`) and its peer (`far`), each on a processor of its own, run the
//! same loops (`exchange`) over every channel (`channels`) and cell (`cells`). Each item stands
//! between two probes of the raw hand-over (`reading`); ratios to these are what is judged
//! (`target`), not times.

mod area;
mod cells;
mod channels;
mod ends;
mod exchange;
mod far;
mod item;
#[allow(unsafe_code)]
mod memory;
mod near;
mod order;
#[allow(unsafe_code)]
mod peer;
mod reading;
mod record;
mod report;
mod target;
mod threads;

use std::os::fd::AsRawFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use nix::fcntl::OFlag;

use self::ends::{Descriptors, Ends};
use self::item::{ALL, Item};
use self::memory::Shared;
use self::near::Near;
use self::order::Setup;
use self::peer::Peer;
use self::record::{Check, Side};
use self::report::{Host, Report};
use self::target::{Judgement, TARGETS};
use crate::clock::Clock;
use crate::failure::Failure;
use crate::host::{self, Cores};

/// Repetitions that a target wants in one placement.
const REPETITIONS: usize = 9;
/// On a host whose processors wander, as many times more are tried.
const TRIES_MAX: usize = 4;
/// Of the time that an item took, the part that is slept after it: threads that only spin with
/// SCHED_FIFO are stopped by the kernel after 950 ms of each second.
const REST_PART: u32 = 8;
/// The least that is slept.
const REST_MIN: Duration = Duration::from_millis(1);

/// Measures the shared-memory link beside a raw hand-over, iceoryx2, a socket and a pipe.
#[derive(Clone, Debug, Parser)]
#[command(name = "link")]
struct Options {
    /// A few of each, every record compared, no time judged
    #[arg(long)]
    smoke: bool,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
    /// Repetitions that each target wants in one placement
    #[arg(long, default_value_t = REPETITIONS, value_parser = at_least_one)]
    repetitions: usize,
    /// Processors of the two processes; without it the last two
    #[arg(long, value_name = "NEAR,FAR")]
    cores: Option<String>,
    /// The other process of the two
    #[arg(long, hide = true)]
    peer: bool,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("a whole number from 1 on".to_owned()),
        Ok(number) => Ok(number),
    }
}

/// The program: 0 where every floor held, 1 where one did not, 2 where there are no figures.
#[must_use]
pub fn main() -> ExitCode {
    let options = Options::parse();
    let done = if options.peer { far::run().map(|()| true) } else { run(&options) };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(failure) => {
            let who = if options.peer { "link, the other process" } else { "link" };
            eprintln!("{who}: {failure}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> Result<bool, Failure> {
    let cores = Cores::choose(options.cores.as_deref())?;
    if !cores.are_two() && !options.smoke {
        return Err(Failure::Cores { wanted: "NEAR,FAR".to_owned(), found: vec![cores.near] });
    }
    let check = if options.smoke { Check::Content } else { Check::Number };
    let setup = Setup {
        run: u64::from(std::process::id()),
        core: cores.far,
        real_time: !options.smoke,
        check,
    };

    let peer = Peer::start()?;
    let memory = memory::create(area::WORDS)?;
    let shared = Shared::map(&memory, area::WORDS)?;
    let (socket, socket_there) = peer::pair()?;
    let pipe = || nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(Failure::of("pipe2"));
    let ((pipe_in, pipe_out_there), (pipe_in_there, pipe_out)) = (pipe()?, pipe()?);
    // This side's ends first: what the other side sends is kept from then on.
    let descriptors = Descriptors { socket, pipe_in, pipe_out };
    let ends = Ends::new(&shared, descriptors, setup.run, Side::Near)?;
    let theirs = [&memory, &socket_there, &pipe_in_there, &pipe_out_there].map(AsRawFd::as_raw_fd);
    peer.send(setup.message(), &theirs)?;
    // So that the end of either process is seen by the other.
    drop((memory, socket_there, pipe_in_there, pipe_out_there));

    let [far_pinned, far_real_time, ..] = peer.answer()?;
    let pinned = host::pin(cores.near) && far_pinned == 1;
    let real_time = setup.real_time.then(|| host::real_time() && far_real_time == 1);
    let awake = host::stay_awake();
    let clock = Clock::new();
    let host = Host {
        cores,
        pinned,
        real_time,
        stays_awake: awake.is_some(),
        clock_cost_ns: clock.ns(clock.cost()),
        clock_fenced_cost_ns: clock.ns(clock.fenced_cost()),
    };
    let smoke = options.smoke;
    let mut near =
        Near { ends, peer, clock, cores, check, smoke, sequence: 0, samples: Vec::new() };
    let wanted = if smoke { 1 } else { options.repetitions };
    let (repetitions, targets) = repeat(&mut near, wanted)?;
    near.peer.end()?;

    let moved_factor = reading::MOVED_FACTOR;
    let report = Report { smoke, host, moved_factor, wanted, repetitions, targets };
    if options.json {
        let text = serde_json::to_string_pretty(&report).map_err(Failure::library("JSON"))?;
        println!("{text}");
    } else {
        println!("{report}");
    }
    Ok(report.holds())
}

type Repetitions = Vec<Vec<reading::Reading>>;

/// Measures everything in turns until each target has as many ratios as wanted, or there is no hope.
/// When it stops depends on how many stayed, never on what they were.
fn repeat(near: &mut Near, wanted: usize) -> Result<(Repetitions, Vec<Judgement>), Failure> {
    let mut repetitions = Repetitions::new();
    loop {
        let mut readings = Vec::with_capacity(ALL.len());
        for item in ALL.into_iter().filter(|item| *item != Item::Raw) {
            let begun = Instant::now();
            readings.push(near.reading(item)?);
            std::thread::sleep(REST_MIN.max(begun.elapsed() / REST_PART));
        }
        repetitions.push(readings);
        let targets: Vec<Judgement> =
            TARGETS.iter().map(|target| target.judge(&repetitions, wanted)).collect();
        let enough = targets.iter().all(|target| target.ratios.len() >= wanted);
        let tries_max = if near.smoke { 1 } else { wanted.saturating_mul(TRIES_MAX) };
        if (enough && repetitions.len() >= wanted) || repetitions.len() >= tries_max {
            return Ok((repetitions, targets));
        }
    }
}
