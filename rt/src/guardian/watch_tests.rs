//! Behaviour of a turn: what reaches the page and the buses, and in which order.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, MutexGuard};

use hal::bus::{BusError, ControllerState, Received};
use hal::frame::Frame;
use rtrb::RingBuffer;

use super::super::logic::Beat;
use super::*;

const STOP: u16 = 0x0F0;
const MS: u64 = 1_000_000;
const BUDGET: u64 = 2 * MS;

/// Everything that happened outside the watcher, in its order.
#[derive(Default)]
struct World {
    events: Vec<String>,
    beat: Option<Beat>,
    news: VecDeque<News>,
    incoming: VecDeque<Received>,
    proved: bool,
    beats: u64,
    bus_gone: bool,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<World>>);

impl Shared {
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    fn events(&self) -> Vec<String> {
        std::mem::take(&mut self.world().events)
    }
}

struct FakePage(Shared);

impl Page for FakePage {
    fn beat_of_rt(&mut self) -> Beat {
        self.0.world().beat.unwrap()
    }

    fn beat(&mut self) {
        self.0.world().beats += 1;
    }

    fn set_fence(&mut self, fence: Option<Fence>) {
        self.0.world().events.push(format!("fence {:?}", fence.map(|fence| fence.cause)));
    }

    fn set_proved(&mut self, proved: bool) {
        self.0.world().proved = proved;
    }

    fn news(&mut self) -> Option<News> {
        self.0.world().news.pop_front()
    }
}

struct FakeBus(Shared);

impl Bus for FakeBus {
    fn send(&mut self, frame: &Frame) -> Result<(), BusError> {
        let mut world = self.0.world();
        if world.bus_gone {
            return Err(BusError::Gone);
        }
        if frame.id() == u32::from(STOP) {
            world.events.push("stop".to_owned());
        }
        world.incoming.push_back(Received { frame: *frame, time_ns: 0, echo: true });
        Ok(())
    }

    fn receive(&mut self) -> Result<Option<Received>, BusError> {
        let mut world = self.0.world();
        if world.bus_gone { Err(BusError::Gone) } else { Ok(world.incoming.pop_front()) }
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        unreachable!("the guardian polls by time")
    }

    fn state(&self) -> ControllerState {
        ControllerState::ErrorActive
    }

    fn lost(&self) -> u64 {
        0
    }
}

struct Scene {
    watcher: Watcher<FakePage>,
    fresh: Producer<Fresh<FakePage>>,
    retired: Consumer<Retired<FakePage>>,
    words: Arc<Words>,
    shared: Shared,
    now_ns: u64,
}

impl Scene {
    fn new(acts: bool) -> Scene {
        let (fresh, fresh_out) = RingBuffer::new(8);
        let (retired_in, retired) = RingBuffer::new(8);
        let (notes, _) = RingBuffer::new(64);
        let words = Arc::new(Words::default());
        let rings = Rings { fresh: fresh_out, retired: retired_in, notes };
        let buses = vec![StopBus::new(STOP, 0x0F8, [1].into_iter())];
        let logic = GuardianLogic::new(BUDGET, acts);
        let periods = Periods { turn_ns: MS, sync_ns: 2 * MS };
        let watcher = Watcher::new(logic, buses, rings, Arc::clone(&words), periods);
        let shared = Shared::default();
        let mut scene = Scene { watcher, fresh, retired, words, shared, now_ns: 1000 * MS };
        scene.open_bus();
        scene.connect(false);
        scene
    }

    fn open_bus(&mut self) {
        self.shared.world().bus_gone = false;
        let bus = FakeBus(self.shared.clone());
        assert!(self.fresh.push(Fresh::Bus(0, Box::new(bus))).is_ok());
        let _ = self.turn();
    }

    fn connect(&mut self, energised: bool) {
        self.beat(energised);
        assert!(self.fresh.push(Fresh::Page(FakePage(self.shared.clone()))).is_ok());
    }

    fn beat(&mut self, energised: bool) {
        let mut world = self.shared.world();
        let count = world.beat.map_or(1, |beat| beat.count + 1);
        world.beat = Some(Beat { count, t_ns: self.now_ns, energised });
    }

    fn turn(&mut self) -> ControlFlow<()> {
        self.now_ns += MS;
        self.watcher.turn(self.now_ns)
    }

    fn run_beating(&mut self, turns: u64, energised: bool) {
        for _ in 0..turns {
            self.beat(energised);
            let _ = self.turn();
        }
    }
}

#[test]
fn the_socket_is_proved_before_power_and_never_under_power() {
    let mut scene = Scene::new(true);
    scene.run_beating(5, false);
    assert!(scene.shared.world().proved);
    assert_eq!(scene.shared.events(), ["fence None", "stop"]);
    scene.run_beating(1000, true);
    assert!(scene.shared.events().is_empty());
}

#[test]
fn a_bus_that_comes_back_under_power_is_not_proved_until_power_is_off() {
    let mut scene = Scene::new(true);
    scene.run_beating(5, false);
    scene.run_beating(5, true);
    scene.shared.events();
    scene.shared.world().bus_gone = true;
    scene.run_beating(2, true);
    assert!(matches!(scene.retired.pop(), Ok(Retired::Bus(0, _))));
    scene.beat(true);
    scene.open_bus();
    scene.run_beating(1000, true);
    assert!(!scene.shared.world().proved);
    assert!(scene.shared.events().is_empty());
    scene.run_beating(5, false);
    assert!(scene.shared.world().proved);
}

#[test]
fn the_fence_is_on_the_page_before_the_stop_is_sent() {
    let mut scene = Scene::new(true);
    scene.run_beating(5, true);
    scene.shared.events();
    for _ in 0..4 {
        let _ = scene.turn();
    }
    let events = scene.shared.events();
    assert_eq!(events.first().unwrap(), "fence Some(RtLost)");
    assert_eq!(events.get(1).unwrap(), "stop");
    assert_eq!(scene.words.fence().unwrap().cause, Cause::RtLost);
}

#[test]
fn a_fence_is_put_on_every_later_page_until_a_reset() {
    let mut scene = Scene::new(true);
    scene.run_beating(5, true);
    scene.shared.world().news.push_back(News::HungUp);
    let _ = scene.turn();
    assert!(matches!(scene.retired.pop(), Ok(Retired::Page(_))));
    scene.shared.events();
    scene.connect(false);
    scene.run_beating(2, false);
    assert_eq!(scene.shared.events().first().unwrap(), "fence Some(RtLost)");
    let since_ns = scene.words.fence().unwrap().t_ns;
    scene.shared.world().news.push_back(News::Reset { since_ns });
    scene.run_beating(1, false);
    assert_eq!(scene.shared.events().first().unwrap(), "fence None");
    assert_eq!(scene.words.fence(), None);
}

#[test]
fn a_second_connection_waits_for_the_first_to_end() {
    let mut scene = Scene::new(true);
    scene.run_beating(5, false);
    scene.connect(false);
    scene.run_beating(5, false);
    assert!(scene.retired.pop().is_err());
    scene.shared.world().news.push_back(News::Goodbye);
    scene.run_beating(3, false);
    assert!(matches!(scene.retired.pop(), Ok(Retired::Page(_))));
    assert!(scene.words.connected.load(Ordering::Acquire));
}

#[test]
fn it_goes_on_beating_with_its_fence_up() {
    let mut scene = Scene::new(true);
    scene.run_beating(5, true);
    scene.words.estops.fetch_add(1, Ordering::Release);
    scene.run_beating(1, true);
    let before = scene.shared.world().beats;
    scene.run_beating(100, true);
    assert_eq!(scene.shared.world().beats, before + 100);
}

#[test]
fn a_panic_is_answered_by_fence_and_stops() {
    let mut scene = Scene::new(true);
    scene.run_beating(5, true);
    scene.shared.events();
    let until = scene.now_ns + 20 * MS;
    let mut turns = 0;
    loop {
        scene.now_ns += MS;
        turns += 1;
        if scene.watcher.last_stand(scene.now_ns, until).is_break() {
            break;
        }
    }
    assert_eq!(turns, 20);
    let events = scene.shared.events();
    assert_eq!(events.first().unwrap(), "fence Some(ThreadPanic)");
    assert_eq!(events.iter().filter(|event| *event == "stop").count(), 4);
}

#[test]
fn switched_off_it_beats_and_sends_no_stop() {
    let mut scene = Scene::new(false);
    scene.run_beating(5, false);
    scene.shared.events();
    scene.run_beating(5, true);
    for _ in 0..100 {
        let _ = scene.turn();
    }
    let end = scene.now_ns + 10 * MS;
    assert!(scene.watcher.last_stand(scene.now_ns, end).is_break());
    assert!(scene.shared.events().is_empty());
    assert!(scene.shared.world().beats >= 100);
}

#[test]
fn turns_come_halfway_between_two_beats_however_they_began() {
    let mut scene = Scene::new(true);
    scene.run_beating(5, true);
    let beat = scene.now_ns - MS;
    for began in [beat + 1, beat + MS / 4, beat + MS - 1] {
        let next = scene.watcher.next_turn_ns(began);
        assert_eq!((next - beat) % MS, MS / 2, "a turn at {began}");
        assert!(next >= began + MS / 2 && next <= began + 3 * MS / 2, "a turn at {began}");
    }
}

#[test]
fn a_beat_from_the_future_puts_no_turn_off() {
    for energised in [false, true] {
        let mut scene = Scene::new(true);
        scene.run_beating(5, energised);
        scene.beat(energised);
        if let Some(beat) = &mut scene.shared.world().beat {
            beat.t_ns = u64::MAX;
        }
        // With and, once the beat has run out, without a fence.
        for _ in 0..1000 {
            let _ = scene.turn();
            let next = scene.watcher.next_turn_ns(scene.now_ns);
            assert!(next <= scene.now_ns + 2 * MS, "{}", next - scene.now_ns);
        }
    }
}

#[test]
fn the_next_turn_is_no_later_than_the_beats_expiry() {
    let mut scene = Scene::new(true);
    scene.run_beating(5, true);
    let now = scene.now_ns;
    // The last beat was written one turn before `now`.
    let close = now - MS + BUDGET;
    assert_eq!(scene.watcher.next_turn_ns(close), close + 1);
}
