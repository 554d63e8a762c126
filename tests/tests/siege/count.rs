//! What a tick of the control thread costs under siege against a quiet peer: in the lab's counted time,
//! where a nanosecond is an instruction. Blocks of each attack by turns, in one boot.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use mechos_operator::{Client, Command as Ask, LatencyPath, OPERATOR_SOCKET, Status};
use mechos_tests::machine::PATIENCE;
use mechos_tests::now_ns;
use shm_protocol::LINK_SOCKET;

use crate::attack::Attack;
use crate::besieger::Order;
use crate::hostile::Hostile;
use crate::rounds::Siege;

/// What is compared; the first is the measure.
const COMPARED: [Attack; 7] = [
    Attack::Quiet,
    Attack::Header,
    Attack::ScribbleAround,
    Attack::Indices,
    Attack::Torn,
    Attack::Flood,
    Attack::Memory,
];
/// Turns of each.
const TURNS: u64 = 4;
/// Longer than any block.
const FOREVER_MS: u64 = 3_600_000;
/// From the word to an attack to its first counted tick.
const SETTLED: Duration = Duration::from_millis(50);
/// Between two looks how far it is.
const LOOK: Duration = Duration::from_millis(200);
/// How long a block may take, a tick being a millisecond.
const BLOCK_MAX: Duration = Duration::from_secs(600);

/// One attack's ticks.
struct Cost {
    /// From awake to the last order handed over, ns.
    compute: Histogram<u64>,
    /// On the CPU, everything of the thread, ns.
    ran_ns: u64,
    /// Records taken from the ring, each with its verdict.
    taken: u64,
    moves: u64,
}

impl Cost {
    fn new() -> Cost {
        let compute = Histogram::new(3).unwrap();
        Cost { compute, ran_ns: 0, taken: 0, moves: 0 }
    }

    fn ran_per_tick_ns(&self) -> f64 {
        self.ran_ns as f64 / self.compute.len() as f64
    }
}

/// Counts so many ticks of each and prints a table: computing, and all that the thread ran in a tick.
/// Returns each attack with the ratio of the latter to the quiet peer's.
///
/// Judged is the whole tick, from one wake-up to the next: computing is about half of it, and what
/// computing saves or costs elsewhere (taking, answering, publishing, the kernel's share) is in it too.
pub fn count(mut siege: Siege, ticks: u64) -> Vec<(Attack, f64)> {
    let mut costs = COMPARED.map(|attack| (attack, Cost::new()));
    let socket = siege.machine.runtime.join(LINK_SOCKET);
    let order =
        Order { socket, attack: Attack::Quiet, seed: 1, length_ms: FOREVER_MS, holed: false };
    let mut hostile = Hostile::start(&order);
    hostile.hear("connected");
    siege.arm(&[]);
    hostile.hear("moves");
    siege.wait("Armed in the status too", &[], |status| status.mode == "armed");
    for turn in 1..=TURNS {
        for (attack, cost) in &mut costs {
            hostile.turn_to(*attack);
            std::thread::sleep(SETTLED);
            block(&mut siege, *attack, ticks.div_ceil(TURNS), cost);
        }
        eprintln!("turn {turn} of {TURNS}, {} s", now_ns() / 1_000_000_000);
    }
    siege.disarm();
    hostile.end(true);
    let of = |cost: &Cost| {
        let median = cost.compute.value_at_quantile(0.5) as f64;
        [median, cost.compute.mean(), cost.ran_per_tick_ns()]
    };
    let measure = of(&costs[0].1);
    eprintln!(
        "\n{:<16}{:>8}{:>8}{:>8}{:>10}{:>10}{:>10}{:>10}   ratios to the quiet peer",
        "attack", "ticks", "taken", "moves", "median", "mean", "max", "ran"
    );
    let mut ratios = vec![];
    for (attack, cost) in &costs {
        let [median, mean, ran] = of(cost);
        let ratio = [median / measure[0], mean / measure[1], ran / measure[2]];
        eprintln!(
            "{:<16}{:>8}{:>8}{:>8}{median:>10.0}{mean:>10.0}{:>10}{ran:>10.0}   {:.3} {:.3} {:.3}",
            format!("{attack:?}"),
            cost.compute.len(),
            cost.taken,
            cost.moves,
            cost.compute.max(),
            ratio[0],
            ratio[1],
            ratio[2]
        );
        ratios.push((*attack, ran / measure[2]));
    }
    siege.end();
    ratios
}

fn block(siege: &mut Siege, attack: Attack, ticks: u64, cost: &mut Cost) {
    let began = siege.look(&[]);
    let (_, ran_from_ns) = (take(siege), ran_ns(&began));
    let until = Instant::now() + BLOCK_MAX;
    let status = loop {
        std::thread::sleep(LOOK);
        let status = siege.look(&[]);
        if status.ticks >= began.ticks + ticks {
            break status;
        }
        assert!(Instant::now() < until, "the ticks do not go on: {}", status.ticks);
    };
    cost.ran_ns += ran_ns(&status) - ran_from_ns;
    cost.compute.add(take(siege)).unwrap();
    let taken = |status: &Status| status.intents.accepted + status.intents.refused;
    cost.taken += taken(&status) - taken(&began);
    cost.moves += status.intents.completed - began.intents.completed;
    let armed = (&*status.mode, status.samples_lost);
    assert_eq!(armed, ("armed", began.samples_lost), "under {attack:?}");
}

/// The distribution of computing since it was last taken.
fn take(siege: &Siege) -> Histogram<u64> {
    let path = siege.machine.runtime.join(OPERATOR_SOCKET);
    let mut client = Client::connect(path, PATIENCE).expect("the daemon answers");
    let ask = Ask::Latency { path: LatencyPath::Compute, reset: true };
    let told = client.call(ask).expect("a distribution").latency.expect("a distribution");
    let bytes = STANDARD.decode(&told.histogram).expect("base64");
    Deserializer::new().deserialize(&mut bytes.as_slice()).expect("a histogram")
}

/// How long the control thread was on a CPU so far, by the kernel.
fn ran_ns(status: &Status) -> u64 {
    let control = status.rt.threads.iter().find(|thread| thread.name == "control").unwrap();
    let pid = status.pids.rt.unwrap();
    let path = format!("/proc/{pid}/task/{}/schedstat", control.tid);
    let text = std::fs::read_to_string(path).expect("the thread is there");
    text.split_whitespace().next().and_then(|ns| ns.parse().ok()).expect("a number")
}
