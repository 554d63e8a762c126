//! The peer: echoes, receives, writes cells, as it is told.

use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::area;
use super::cells::Cell;
use super::ends::{Descriptors, Ends, Signals};
use super::exchange::{drain, echo, until};
use super::item::{Item, Kind, Load};
use super::memory::Shared;
use super::order::{Order, Setup};
use super::peer::Control;
use super::record::{Check, Side, content};
use crate::clock::{Clock, stamp};
use crate::failure::Failure;
use crate::host;

/// Between two values of the slow writer.
const PERIOD: Duration = Duration::from_millis(1);

/// Serves the process at the other end of the standard input until that has had enough.
pub fn run() -> Result<(), Failure> {
    let control = Control::of_standard_input()?;
    let (message, descriptors) = control.receive()?;
    let setup = Setup::of(message)?;
    let [memory, socket, pipe_in, pipe_out]: [OwnedFd; 4] =
        descriptors.try_into().map_err(|_| Failure::Disagreement("number of descriptors"))?;
    let shared = Shared::map(&memory, area::WORDS)?;
    let descriptors = Descriptors { socket, pipe_in, pipe_out };
    let mut ends = Ends::new(&shared, descriptors, setup.run, Side::Far)?;
    let pinned = host::pin(setup.core);
    let real_time = setup.real_time && host::real_time();
    let clock = Clock::new();
    control.send([u64::from(pinned), u64::from(real_time), 0, 0], &[])?;
    while let Some(order) = Order::of(control.receive()?.0)? {
        obey(&order, &mut ends, setup.check, &clock)?;
        control.send([order.sequence, 0, 0, 0], &[])?;
    }
    Ok(())
}

fn obey(order: &Order, ends: &mut Ends, check: Check, clock: &Clock) -> Result<(), Failure> {
    let rounds = order.rounds;
    let signals = &ends.signals;
    match order.item {
        Item::Raw => echo(&mut ends.raw, rounds, check),
        Item::Ring56 => echo(&mut ends.small, rounds, check),
        Item::Ring56Short => echo(&mut ends.short, rounds, check),
        Item::Ring248 => echo(&mut ends.large, rounds, check),
        Item::Intent => echo(&mut ends.intents, rounds, check),
        Item::Iceoryx64 => echo(&mut ends.iceoryx_small, rounds, check),
        Item::Iceoryx256 => echo(&mut ends.iceoryx_large, rounds, check),
        Item::Socket => echo(&mut ends.socket, rounds, check),
        Item::Pipe => echo(&mut ends.pipe, rounds, check),
        // Between threads of the other process.
        Item::RtrbRate => Ok(()),
        Item::RingRate => {
            drain(&mut ends.small, rounds, check)?;
            signals.answer.store(order.all_there(), Ordering::Release);
            Ok(())
        }
        Item::IceoryxRate => {
            drain(&mut ends.iceoryx_small, rounds, check)?;
            signals.answer.store(order.all_there(), Ordering::Release);
            Ok(())
        }
        Item::Value(Kind::Board, load) => write(&mut ends.board, signals, order, load, clock),
        Item::Value(Kind::Triple, load) => write(&mut ends.triple, signals, order, load, clock),
        Item::Value(Kind::Seqlock, load) => write(&mut ends.seqlock, signals, order, load, clock),
    }
}

/// Publishes values, numbered from the order's own first number on.
fn write<C: Cell>(
    cell: &mut C,
    signals: &Signals,
    order: &Order,
    load: Load,
    clock: &Clock,
) -> Result<(), Failure> {
    let base = order.base();
    if load == Load::Fresh {
        for number in base + 1..=base + order.rounds.all() {
            let value = content(Side::Far, number);
            until(|| Ok(signals.request.load(Ordering::Acquire) == number))?;
            cell.publish(&value);
            signals.answer.store(number, Ordering::Release);
        }
        return Ok(());
    }
    let mut number = base + 1;
    cell.publish(&content(Side::Far, number));
    signals.answer.store(number, Ordering::Release);
    let stopped = || signals.stop.load(Ordering::Acquire) >= order.sequence;
    let period = match load {
        Load::FullSpeed => 0,
        _ => clock.counts(PERIOD),
    };
    let mut last = stamp();
    until(|| {
        // So that `until` does not give the reader up while there is something to write.
        while !stopped() && load != Load::Quiet {
            let now = stamp();
            if now.wrapping_sub(last) < period {
                return Ok(false);
            }
            last = now;
            number = number.wrapping_add(1);
            cell.publish(&content(Side::Far, number));
        }
        Ok(stopped())
    })
}
