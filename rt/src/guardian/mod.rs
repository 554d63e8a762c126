//! The guardian: a process of its own that stops the drives when mechos-rt is killed, stopped,
//! aborted or hung.
//!
//! Promises: the fence is latched in the guardian's own page before a stop is sent; stops are
//! repeated until every drive's statusword confirms; only an operator's reset, passed on by a
//! living mechos-rt, takes the fence down; it ends last. Forbids: anything that powers or moves a
//! drive; a stop frame as a proof while mechos-rt does not say that nothing is powered; waiting,
//! allocating or locking in the watcher's turn.
//!
//! From the outside in: `process` (threads, signals, exit), `attendant` (pages, buses and the log,
//! off real time), `operator` (its socket), `watch` (the real-time turn), `bus` (one bus), `logic`
//! and `pace` (pure).

mod attendant;
mod bus;
mod link;
mod logic;
mod operator;
mod pace;
mod page;
mod process;
mod watch;
mod words;

pub use operator::WATCHER;
pub use process::{GuardianError, Options, run};
