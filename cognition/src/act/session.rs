//! The loop of one connection: observe, hand the turn over, act, until it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tracing::{info, warn};

use super::Act;
use crate::clock::{self, SECOND_NS};
use crate::decide::{Decider, PlannerGone, Turn};
use crate::link::Link;
use crate::machine::Machine;
use crate::planner::Outcome;
use crate::trace::Traces;

/// Length of a step: how late a verdict may be seen.
const STEP: Duration = Duration::from_millis(4);
/// How long a hold before leaving may take, ns.
const LEAVE_MAX_NS: u64 = 3 * SECOND_NS / 2;

/// Why a connection's loop ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ended {
    /// This process was asked to end; what was under way was brought to rest.
    Asked,
    /// The real-time side has gone; what the planner is to be told on the next connection.
    LinkLost(Option<Outcome>),
}

/// Runs one connection. `outcome` is what became of the last request of the one before.
///
/// # Errors
/// [`PlannerGone`], after what was under way was brought to rest.
pub fn run(
    link: &mut impl Link,
    machine: Arc<Machine>,
    agent: u16,
    decider: &mut Decider,
    outcome: Option<Outcome>,
    end: &AtomicBool,
) -> Result<Ended, PlannerGone> {
    let mut act = Act::new(machine, agent, outcome);
    let mut traces = Traces::default();
    let mut turn: Option<Turn> = None;
    loop {
        if !link.is_alive() {
            return Ok(Ended::LinkLost(act.into_outcome()));
        }
        // Pairs with the signal handler's store; nothing else is published with it.
        if end.load(Ordering::Relaxed) {
            leave(link, act, &mut traces);
            return Ok(Ended::Asked);
        }
        act.observe(link, clock::now_ns());
        match step(link, &mut act, decider, &mut traces, &mut turn) {
            Ok(()) => {}
            Err(gone) => {
                leave(link, act, &mut traces);
                return Err(gone);
            }
        }
    }
}

fn step(
    link: &mut impl Link,
    act: &mut Act,
    decider: &mut Decider,
    traces: &mut Traces,
    turn: &mut Option<Turn>,
) -> Result<(), PlannerGone> {
    if !decider.is_thinking()
        && let Some(situation) = act.turn(traces, clock::now_ns())
    {
        *turn = decider.put(situation)?;
    }
    let Some((answered, decision)) = decider.take(STEP)? else { return Ok(()) };
    if *turn == Some(answered) {
        *turn = None;
        act.act(link, decision, clock::now_ns());
    } else {
        warn!("a decision for an earlier connection is dropped");
    }
    Ok(())
}

/// Brings what is under way to rest, within a bound.
fn leave(link: &mut impl Link, mut act: Act, traces: &mut Traces) {
    let begun_ns = clock::now_ns();
    if !act.hold(link, traces.next_id(), begun_ns) {
        return;
    }
    while act.is_under_way() && link.is_alive() {
        if clock::now_ns().saturating_sub(begun_ns) > LEAVE_MAX_NS {
            warn!("leaving without the end of the hold; its lease ends it");
            return;
        }
        std::thread::sleep(STEP);
        act.observe(link, clock::now_ns());
    }
    info!("at rest before leaving");
}
