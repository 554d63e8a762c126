//! mechos-rt's part: takes intents, gives each its admission and its final verdict, and counts.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use shm_protocol::records::*;
use shm_protocol::{Connected, LinkNews, LinkServer, PageSet};

use super::common::{description, event, own_uid, telemetry, wait_for};
use super::planner::{admission_of, intent_of, verdict_of};

/// Intents taken in a tick at the most.
const TAKEN_MAX: u32 = 16;
/// Verdicts that taking an intent can lead to: its admission, the final of the active one, its own.
const RESERVED: usize = 3;

/// The sums of the protocol, over all connections.
#[derive(Default)]
pub struct Counts {
    pub submitted: u64,
    pub taken: u64,
    pub queued: u64,
    pub returned: u64,
    pub lost: u64,
    accepted: u64,
    clamped: u64,
    refused: u64,
    preempted: u64,
    completed: u64,
    expired: u64,
    aborted: u64,
}

impl Counts {
    fn hold(&self, active: u64) {
        let answered = self.accepted + self.clamped + self.refused;
        assert_eq!(self.taken, answered);
        assert_eq!(self.submitted, answered + self.queued + self.returned + self.lost);
        let finals = self.preempted + self.completed + self.expired + self.aborted;
        assert_eq!(self.accepted + self.clamped, finals + active);
    }
}

pub struct Server {
    server: LinkServer,
    next_generation: u32,
    peer: Option<Peer>,
    pub counts: Counts,
}

struct Peer {
    connected: Connected,
    /// The number of the intent that must come next.
    expected: u64,
    active: Option<u64>,
    ticks: u64,
}

impl Server {
    pub fn bind(path: &Path, generation: u32) -> Self {
        let server = LinkServer::bind(path, own_uid(), 0o600).unwrap();
        Self { server, next_generation: generation, peer: None, counts: Counts::default() }
    }

    pub fn is_connected(&self) -> bool {
        self.peer.is_some()
    }

    /// One tick with a planner, one step of the handshake without. True when something came.
    pub fn go_on(&mut self) -> bool {
        match &mut self.peer {
            Some(peer) => {
                peer.tick(&mut self.counts);
                true
            }
            None => self.turn(),
        }
    }

    fn turn(&mut self) -> bool {
        let next = &mut self.next_generation;
        let news = self.server.turn(false, &mut || {
            let set = PageSet::create(&description(), *next).unwrap();
            *next += 1;
            Some(set)
        });
        match news {
            Some(LinkNews::Connected(connected)) => {
                let connected = *connected;
                self.peer = Some(Peer { connected, expected: 1, active: None, ticks: 0 });
                true
            }
            Some(LinkNews::Broken { .. }) => true,
            Some(LinkNews::Refused { refusal, .. }) => panic!("refused: {refusal}"),
            None => false,
        }
    }

    /// The planner has ended: what it left behind is counted, and whole. `answered`: the intents in
    /// its ring are still answered, as far as there is room for verdicts; else they stay there.
    pub fn settle(&mut self, answered: bool) {
        // It may have ended anywhere in its handshake, and that may come to its end here.
        wait_for(|| {
            let idle = self.peer.is_some() || !self.turn();
            let pending = self.server.descriptors().count() > 1;
            (self.peer.is_some() || idle && !pending).then_some(())
        });
        if let Some(peer) = self.peer.take() {
            peer.settle(answered, &mut self.counts);
        }
    }
}

impl Peer {
    fn tick(&mut self, counts: &mut Counts) {
        self.ticks += 1;
        for _ in 0..TAKEN_MAX {
            if self.connected.end.verdict_slots_free() < RESERVED || !self.take(counts) {
                break;
            }
        }
        // Some end by themselves before the next one comes.
        if self.ticks.is_multiple_of(3) {
            match self.active {
                Some(number) if number % 2 == 0 => {
                    self.end_active(VerdictKind::Completed, &mut counts.completed);
                }
                Some(_) => self.end_active(VerdictKind::Expired, &mut counts.expired),
                None => {}
            }
        }
        self.connected.end.publish(&telemetry(self.ticks));
        self.connected.end.push_event(&event(self.ticks));
        let _ = (self.connected.end.heartbeat(), self.connected.end.stops());
    }

    /// The next intent: whole, and the one that is due.
    fn pop(&mut self) -> bool {
        let Some(claim) = self.connected.end.pop(AXES_MAX) else { return false };
        let intent = intent_of(self.connected.end.generation(), self.expected);
        assert_eq!(claim, Claim { intent, intact: true });
        self.expected += 1;
        true
    }

    fn take(&mut self, counts: &mut Counts) -> bool {
        let number = self.expected;
        if !self.pop() {
            return false;
        }
        counts.taken += 1;
        let admission = admission_of(number);
        match admission {
            VerdictKind::Accepted => counts.accepted += 1,
            VerdictKind::Clamped => counts.clamped += 1,
            _ => counts.refused += 1,
        }
        if admission != VerdictKind::Refused {
            self.end_active(VerdictKind::Preempted, &mut counts.preempted);
            self.active = Some(number);
        }
        self.send(number, admission);
        true
    }

    fn end_active(&mut self, kind: VerdictKind, count: &mut u64) {
        if let Some(number) = self.active.take() {
            *count += 1;
            self.send(number, kind);
        }
    }

    /// Its slot was reserved.
    fn send(&mut self, number: u64, kind: VerdictKind) {
        let end = &mut self.connected.end;
        end.push_verdict(&verdict_of(end.generation(), number, kind)).unwrap();
    }

    fn settle(mut self, answered: bool, counts: &mut Counts) {
        wait_for(|| has_ended(&self.connected.socket).then_some(()));
        // The last planner of a run is none of the children.
        let child = self.connected.pid != std::process::id().cast_signed();
        if let Some(pidfd) = self.connected.pidfd.as_ref().filter(|_| child) {
            wait_for(|| has_ended(pidfd).then_some(()));
        }
        if answered {
            self.tick(counts);
        }
        self.end_active(VerdictKind::Aborted, &mut counts.aborted);
        let end = &self.connected.end;
        let (queued, taken) = (u64::from(end.queued()), end.taken());
        let lost = end.submitted() - taken - queued - end.returned();
        assert!(lost <= 1, "{lost} lost: a planner is in the middle of one send at the most");
        counts.submitted += end.submitted();
        counts.returned += end.returned();
        counts.queued += queued;
        counts.lost += lost;
        counts.hold(0);
        // What stays behind is whole, too, and as much as was counted.
        while self.pop() {}
        assert_eq!(self.connected.end.taken(), taken + queued);
    }
}

/// Whether the other side of a socket, or the process of a pidfd, has ended.
fn has_ended(descriptor: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).unwrap() == 1
}
