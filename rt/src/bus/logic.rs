//! What a bus thread sends, as a pure function of its orders, its frames and the time.
//!
//! Fenced or held too long: nothing. Latched: nothing that moves. Ordered to halt: the stop first,
//! every tick until it has had its chance, then now and then until every drive confirms it.

use hal::bus::Received;
use hal::drive::{DriveFeedback, DriveGoal, Outbox};
use hal::frame::Frame;
use hal::network::Network;

use crate::order::{Order, Report};

/// Ticks in which the stop is sent again and again, until the drives confirm it.
const STOP_EAGER_TICKS: u32 = 20;
/// Then it is sent every so many ticks.
const STOP_PATIENT_TICKS: u32 = 20;

/// What may forbid a bus thread to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guards {
    /// The guardian has taken the machine.
    pub fenced: bool,
    /// A cause is latched that the kernel may not have seen yet.
    pub latched: bool,
}

/// The masters of one bus' drives and the rules of what is sent.
pub struct BusLogic {
    network: Network,
    order_age_max_ns: u64,
    stop_ticks: u32,
}

impl BusLogic {
    /// Sends no order older than `order_age_max_ns` after its tick's nominal start.
    pub fn new(network: Network, order_age_max_ns: u64) -> Self {
        Self { network, order_age_max_ns, stop_ticks: 0 }
    }

    /// Takes a frame from the bus. Real time.
    pub fn on_frame(&mut self, received: &Received) {
        self.network.on_frame(received);
    }

    /// Whether an order may still be sent. Real time.
    pub fn is_fresh(&self, order: &Order, now_ns: u64) -> bool {
        now_ns.saturating_sub(order.nominal_ns) <= self.order_age_max_ns
    }

    /// What the order sends now: the stop, if it is due, then the outbox. Real time.
    pub fn execute(
        &mut self,
        order: &Order,
        now_ns: u64,
        guards: Guards,
        outbox: &mut Outbox,
    ) -> Option<Frame> {
        outbox.clear();
        if guards.fenced || !self.is_fresh(order, now_ns) {
            return None;
        }
        let stop = self.stop_is_due(order.halt).then(|| self.network.stop_frame());
        if guards.latched {
            let mut commands = order.commands.clone();
            for command in commands.iter_mut().filter(|c| c.goal == DriveGoal::Enabled) {
                command.goal = DriveGoal::Halt;
            }
            self.network.cycle(now_ns, &commands, outbox);
        } else {
            self.network.cycle(now_ns, &order.commands, outbox);
        }
        stop
    }

    /// What is known of the drives. Real time.
    pub fn report(&self, now_ns: u64) -> Report {
        let feedback = |index| -> DriveFeedback { self.network.feedback(index, now_ns) };
        Report { drives: (0..self.network.len()).map(feedback).collect() }
    }

    fn stop_is_due(&mut self, halt: bool) -> bool {
        if !halt {
            self.stop_ticks = 0;
            return false;
        }
        let ticks = self.stop_ticks;
        self.stop_ticks = ticks.saturating_add(1);
        if ticks == 0 {
            return true;
        }
        let turn = ticks < STOP_EAGER_TICKS || ticks.is_multiple_of(STOP_PATIENT_TICKS);
        turn && !self.network.all_stopped()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hal::drive::DriveCommand;
    use mechos_robot::Robot;

    const MS: u64 = 1_000_000;
    const FREE: Guards = Guards { fenced: false, latched: false };

    fn logic() -> BusLogic {
        let text = include_str!("../../robots/arm6.toml");
        let robot = Robot::parse(text, "arm6.toml").unwrap();
        BusLogic::new(Network::new(&robot.network_config(0, true)).unwrap(), 50 * MS)
    }

    fn order(tick: u64, halt: bool) -> Order {
        let goal = if halt { DriveGoal::Halt } else { DriveGoal::Off };
        let command = DriveCommand { goal, ..DriveCommand::default() };
        let commands = [command; 3].into_iter().collect();
        let nominal_ns = tick * MS;
        Order {
            tick,
            nominal_ns,
            computed_ns: nominal_ns,
            late: false,
            halt,
            halt_ns: 0,
            energised: halt,
            issued_ns: Default::default(),
            commands,
        }
    }

    /// Ticks from `from` in which a stop went out.
    fn stops(logic: &mut BusLogic, from: u64, count: u64, guards: Guards) -> Vec<u64> {
        let mut outbox = Outbox::new();
        (from..from + count)
            .filter(|tick| {
                let order = order(*tick, true);
                logic.execute(&order, tick * MS, guards, &mut outbox).is_some()
            })
            .collect()
    }

    #[test]
    fn a_fenced_thread_sends_nothing_at_all() {
        let (mut logic, mut outbox) = (logic(), Outbox::new());
        let fenced = Guards { fenced: true, latched: false };
        for tick in 1..200 {
            let stop = logic.execute(&order(tick, true), tick * MS, fenced, &mut outbox);
            assert!(stop.is_none() && outbox.is_empty());
        }
    }

    #[test]
    fn what_is_held_too_long_is_not_sent() {
        let (mut logic, mut outbox) = (logic(), Outbox::new());
        assert!(logic.execute(&order(1, true), 52 * MS, FREE, &mut outbox).is_none());
        assert!(outbox.is_empty());
        assert!(logic.execute(&order(1, true), 51 * MS, FREE, &mut outbox).is_some());
        assert!(!outbox.is_empty());
    }

    #[test]
    fn a_halt_sends_the_stop_at_once_and_repeats_it_to_drives_that_do_not_confirm() {
        let sent = stops(&mut logic(), 1, 60, FREE);
        assert_eq!(sent.get(..20), Some(&(1..=20).collect::<Vec<u64>>()[..]));
        assert_eq!(sent.get(20..), Some(&[21, 41][..]));
    }

    #[test]
    fn a_new_halt_is_sent_at_once_again() {
        let (mut logic, mut outbox) = (logic(), Outbox::new());
        stops(&mut logic, 1, 30, FREE);
        assert!(logic.execute(&order(31, false), 31 * MS, FREE, &mut outbox).is_none());
        assert_eq!(stops(&mut logic, 32, 1, FREE), [32]);
    }

    #[test]
    fn heartbeats_and_sync_go_out_with_orders_only() {
        let (mut logic, mut outbox) = (logic(), Outbox::new());
        let mut frames = 0;
        for tick in 1..=100 {
            logic.execute(&order(tick, false), tick * MS, FREE, &mut outbox);
            frames += outbox.iter().filter(|frame| frame.id() == 0x0F8).count();
        }
        assert_eq!(frames, 100, "one SYNC a tick");
    }
}
