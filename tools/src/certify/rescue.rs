//! Kills a mechos-rt in which a thread loops at real-time priority.
//!
//! On a host with one CPU nothing of ordinary priority runs beside such a loop, `mechos certify`
//! included. So one thread above every thread of the robot is told beforehand when to kill what.

use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::priority;
use crate::clock::{now_ns, sleep_until};

/// Above 98, the highest that a robot file may ask for.
const PRIORITY: u8 = 99;
/// How long before its time the thread is told at the least, ns.
const NOTICE_NS: u64 = 1_000_000;

/// The thread.
pub struct Rescue {
    orders: Option<Sender<(i32, u64)>>,
    thread: Option<JoinHandle<()>>,
}

impl Rescue {
    /// Starts the thread; without the right to priorities it runs at an ordinary one.
    pub fn start() -> Rescue {
        let (orders, told) = channel::<(i32, u64)>();
        let thread = std::thread::spawn(move || {
            priority::ask_fifo(PRIORITY);
            for (pid, at_ns) in told {
                sleep_until(at_ns);
                // A process that has ended by itself meanwhile is as well: its parent has not
                // reaped it yet, so the id is nobody else's.
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        });
        Rescue { orders: Some(orders), thread: Some(thread) }
    }

    /// Kills the child `pid`, which must not be reaped before, at `at_ns`.
    pub fn kill_at(&self, pid: i32, at_ns: u64) {
        let at_ns = at_ns.max(now_ns().saturating_add(NOTICE_NS));
        if let Some(orders) = &self.orders {
            let _ = orders.send((pid, at_ns));
        }
    }
}

impl Drop for Rescue {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn what_is_named_is_killed_at_its_time() {
        let rescue = Rescue::start();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let at_ns = now_ns() + 20_000_000;
        rescue.kill_at(i32::try_from(child.id()).unwrap(), at_ns);
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        assert!(now_ns() >= at_ns);
    }
}
