//! What is watched all the time: the bus, by its log; both processes' logs; and what the processes hold.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use mechos_tests::frames::Line;
use mechos_tests::limits;
use mechos_tests::machine::Machine;

/// Between two looks at the logs.
const LOOK: Duration = Duration::from_millis(100);
/// What no log of theirs may say.
const NEVER: [&str; 3] =
    ["panicked", "a real-time thread used the heap", "a system call that is not on its list"];

/// What was found so far.
struct Found {
    limits: limits::Watch,
    frames: u64,
    log_bytes: u64,
    said: Vec<String>,
}

/// Follows the logs in a thread of its own, so that no log needs to be kept.
pub struct Watch {
    found: Arc<Mutex<Found>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// From the beginning of the logs on.
    pub fn begin(machine: &Machine) -> Watch {
        let limits = limits::Watch::new(&machine.robot);
        let found = Found { limits, frames: 0, log_bytes: 0, said: vec![] };
        let (found, over) = (Arc::new(Mutex::new(found)), Arc::new(AtomicBool::new(false)));
        let mut frames = machine.follow_frames();
        let mut logs = ["mechos-rt", "mechos-guardian"].map(|name| machine.follow_log(name));
        let (book, end) = (Arc::clone(&found), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            let mut last = false;
            while !last {
                // What was written before the end is still looked at.
                last = end.load(Ordering::Relaxed);
                let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
                frames.look(|line| {
                    let line: Line = serde_json::from_str(line).expect("a frame");
                    book.frames += 1;
                    book.limits.look(&line);
                });
                for log in &mut logs {
                    log.look(|line| {
                        if NEVER.iter().any(|words| line.contains(words)) {
                            book.said.push(line.to_owned());
                        }
                    });
                }
                book.log_bytes = logs.iter().map(|log| log.read()).sum();
                drop(book);
                std::thread::sleep(LOOK);
            }
        });
        Watch { found, over, thread: Some(thread) }
    }

    fn with<T>(&self, look: impl FnOnce(&Found) -> T) -> T {
        look(&self.found.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Fails the test if anything wrong was found so far.
    pub fn judge(&self) {
        assert!(self.thread.as_ref().is_some_and(|thread| !thread.is_finished()), "it watches");
        self.with(|found| {
            assert_eq!(found.limits.wrongs(), Vec::<String>::new());
            assert_eq!(found.said, Vec::<String>::new());
        });
    }

    /// Frames on the bus, and bytes of both processes' logs.
    pub fn seen(&self) -> (u64, u64) {
        self.with(|found| (found.frames, found.log_bytes))
    }

    /// Looks at the rest, prints how near the axes came to their limits, and judges a last time.
    pub fn end(mut self) {
        self.judge();
        self.over.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().expect("the logs could be read");
        self.with(|found| {
            assert_eq!(found.said, Vec::<String>::new());
            found.limits.stayed_within();
        });
    }
}

/// What a process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Resident memory, KiB.
    pub resident_kib: u64,
    /// Descriptors.
    pub descriptors: usize,
    /// Threads.
    pub threads: usize,
    /// Mappings of shared pages.
    pub pages: usize,
}

impl Held {
    /// By a process now.
    pub fn by(pid: u32) -> Held {
        let place = PathBuf::from(format!("/proc/{pid}"));
        let read = |name| std::fs::read_to_string(place.join(name)).expect("the process lives");
        let count = |name| std::fs::read_dir(place.join(name)).expect("it lives").count();
        let status = read("status");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.and_then(|rest| rest.split_whitespace().next());
        Held {
            resident_kib: resident.and_then(|text| text.parse().ok()).expect("VmRSS"),
            descriptors: count("fd"),
            threads: count("task"),
            pages: read("maps").lines().filter(|line| line.contains("memfd:mechos-")).count(),
        }
    }
}
