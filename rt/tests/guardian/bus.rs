//! A bus of this test's own: the simulator's wire on a SOCK_SEQPACKET socket, without its timing,
//! and drives that answer SYNC with a statusword.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use hal::bus::{Filter, Received};
use hal::frame::Frame;
use hal::simbus::wire::{ClientMessage, DATAGRAM_MAX, SimMessage};
use mechos_rt::host::clock::now_ns;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockType, UnixAddr, accept4, bind, listen, recv,
    send, socket,
};

/// arm6's stop and SYNC.
pub const STOP: u32 = 0x0F0;
const SYNC: u32 = 0x0F8;
const ENABLED: u16 = 0x0027;
const SWITCH_ON_DISABLED: u16 = 0x0040;

/// What the bus saw.
#[derive(Default)]
pub struct Traffic {
    /// Every frame: CLOCK_MONOTONIC ns, sender's name, identifier.
    pub frames: Mutex<Vec<(u64, String, u32)>>,
    /// The drives are enabled.
    pub enabled: AtomicBool,
    /// The drives obey a stop.
    pub obeys: AtomicBool,
    /// Clients that said hello and have not left.
    pub clients: AtomicUsize,
    over: AtomicBool,
}

/// A served bus; ends when dropped.
pub struct TestBus {
    pub traffic: Arc<Traffic>,
    thread: Option<JoinHandle<()>>,
}

struct Client {
    fd: OwnedFd,
    name: String,
    filters: Vec<Filter>,
}

impl TestBus {
    pub fn serve(path: &Path, nodes: &[u16]) -> TestBus {
        let _ = std::fs::remove_file(path);
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let listener = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).unwrap();
        bind(listener.as_raw_fd(), &UnixAddr::new(path).unwrap()).unwrap();
        listen(&listener, Backlog::new(16).unwrap()).unwrap();
        let traffic = Arc::new(Traffic::default());
        let shared = Arc::clone(&traffic);
        let nodes = nodes.to_vec();
        let thread = std::thread::spawn(move || run(&listener, &nodes, &shared));
        TestBus { traffic, thread: Some(thread) }
    }

    pub fn set_enabled(&self, enabled: bool, obeys: bool) {
        self.traffic.obeys.store(obeys, Ordering::SeqCst);
        self.traffic.enabled.store(enabled, Ordering::SeqCst);
    }

    /// Clients that are connected.
    pub fn clients(&self) -> usize {
        self.traffic.clients.load(Ordering::SeqCst)
    }

    /// Stops sent so far.
    pub fn stops(&self) -> usize {
        let frames = self.traffic.frames.lock().unwrap();
        frames.iter().filter(|(_, _, id)| *id == STOP).count()
    }

    /// The time of the first stop after `t_ns`.
    pub fn first_stop_after(&self, t_ns: u64) -> Option<u64> {
        let frames = self.traffic.frames.lock().unwrap();
        frames.iter().find(|(t, _, id)| *t > t_ns && *id == STOP).map(|(t, ..)| *t)
    }
}

impl Drop for TestBus {
    fn drop(&mut self) {
        self.traffic.over.store(true, Ordering::SeqCst);
        let _ = self.thread.take().unwrap().join();
    }
}

fn run(listener: &OwnedFd, nodes: &[u16], traffic: &Traffic) {
    let mut clients: Vec<Client> = Vec::new();
    while !traffic.over.load(Ordering::SeqCst) {
        let mut waiting = vec![PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        waiting.extend(clients.iter().map(|c| PollFd::new(c.fd.as_fd(), PollFlags::POLLIN)));
        let _ = poll(&mut waiting, PollTimeout::from(5u8));
        if let Ok(raw) = accept4(listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC) {
            // SAFETY: the descriptor was just made for us and is owned by nobody else.
            let fd = unsafe { OwnedFd::from_raw_fd(raw) };
            clients.push(Client { fd, name: String::new(), filters: Vec::new() });
        }
        let mut index = 0;
        while index < clients.len() {
            match take(&clients[index]) {
                None => {
                    clients.remove(index);
                    continue;
                }
                Some(None) => {}
                Some(Some(ClientMessage::Hello { name, filters })) => {
                    clients[index].name = name.to_string();
                    clients[index].filters = filters.to_vec();
                    tell(&clients[index], &SimMessage::Welcome);
                }
                Some(Some(ClientMessage::Send(frame))) => {
                    carry(&clients, index, frame, nodes, traffic);
                }
            }
            index += 1;
        }
        let greeted = clients.iter().filter(|client| !client.name.is_empty()).count();
        traffic.clients.store(greeted, Ordering::SeqCst);
    }
}

/// `None`: the client has left; `Some(None)`: nothing there.
fn take(client: &Client) -> Option<Option<ClientMessage>> {
    let mut buffer = [0; DATAGRAM_MAX];
    match recv(client.fd.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
        Ok(0) => None,
        Ok(len) => Some(Some(ClientMessage::decode(&buffer[..len]).unwrap())),
        Err(nix::errno::Errno::EAGAIN) => Some(None),
        Err(_) => None,
    }
}

fn carry(clients: &[Client], sender: usize, frame: Frame, nodes: &[u16], traffic: &Traffic) {
    let name = clients[sender].name.clone();
    traffic.frames.lock().unwrap().push((now_ns(), name, frame.id()));
    if frame.id() == STOP && traffic.obeys.load(Ordering::SeqCst) {
        traffic.enabled.store(false, Ordering::SeqCst);
    }
    deliver(clients, Some(sender), frame);
    if frame.id() == SYNC {
        let enabled = traffic.enabled.load(Ordering::SeqCst);
        let [low, high] = if enabled { ENABLED } else { SWITCH_ON_DISABLED }.to_le_bytes();
        for node in nodes {
            deliver(clients, None, Frame::new(0x180 + node, &[low, high, 0, 0, 0, 0]).unwrap());
        }
    }
}

fn deliver(clients: &[Client], sender: Option<usize>, frame: Frame) {
    for (index, client) in clients.iter().enumerate() {
        if Filter::any_passes(&client.filters, &frame) {
            let echo = sender == Some(index);
            let received = Received { frame, time_ns: now_ns(), echo };
            tell(client, &SimMessage::Received(received));
        }
    }
}

fn tell(client: &Client, message: &SimMessage) {
    let mut buffer = [0; DATAGRAM_MAX];
    let bytes = message.encode(&mut buffer);
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    let _ = send(client.fd.as_raw_fd(), bytes, flags);
}
