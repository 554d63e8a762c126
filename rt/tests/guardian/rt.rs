//! A daemon of this test's own: connects to the guardian as mechos-rt does, and beats.

use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use mechos_rt::host::clock::now_ns;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, send, socket,
};
use shm_protocol::records::{Cause, ModeCode};
use shm_protocol::{FenceReader, GUARDIAN_PAGE_SOCKET, GuardianLink};

#[derive(Default)]
struct Says {
    beating: AtomicBool,
    energised: AtomicBool,
    beats: AtomicU64,
    over: AtomicBool,
}

/// Beats in a thread of its own until it is dropped, which looks like a kill to the guardian.
pub struct TestRt {
    link: GuardianLink,
    fence: FenceReader,
    says: Arc<Says>,
    thread: Option<JoinHandle<()>>,
}

impl TestRt {
    pub fn connect(runtime: &Path) -> TestRt {
        let path = runtime.join(GUARDIAN_PAGE_SOCKET);
        let mut tries = 0;
        let mut link = loop {
            // The guardian turns newcomers away until it has seen the last one leave.
            match GuardianLink::connect(&path, 1, Duration::from_secs(10)) {
                Ok(link) => break link,
                Err(error) => assert!(tries < 500, "{error}"),
            }
            tries += 1;
            std::thread::sleep(Duration::from_millis(10));
        };
        let mut writer = link.beat.take().unwrap();
        let fence = link.fence.clone();
        let says = Arc::new(Says::default());
        says.beating.store(true, Ordering::SeqCst);
        let shared = Arc::clone(&says);
        let thread = std::thread::spawn(move || {
            let mut tick = 0;
            while !shared.over.load(Ordering::SeqCst) {
                if shared.beating.load(Ordering::SeqCst) {
                    tick += 1;
                    let energised = shared.energised.load(Ordering::SeqCst);
                    let mode = if energised { ModeCode::Armed } else { ModeCode::Disarmed };
                    writer.beat(tick, now_ns(), mode, energised);
                    shared.beats.store(tick, Ordering::SeqCst);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        TestRt { link, fence, says, thread: Some(thread) }
    }

    pub fn set_beating(&self, beating: bool) {
        self.says.beating.store(beating, Ordering::SeqCst);
    }

    pub fn set_energised(&self, energised: bool) {
        self.says.energised.store(energised, Ordering::SeqCst);
    }

    pub fn fence(&self) -> Option<(Cause, u64)> {
        self.fence.cause().map(|cause| (cause, self.fence.since_ns()))
    }

    pub fn guardian_beat(&self) -> u64 {
        self.fence.guardian_beat()
    }

    pub fn socket_proved(&self) -> bool {
        self.fence.socket_proved()
    }

    pub fn welcomed_with(&self) -> Option<Cause> {
        self.link.latched
    }

    /// Hands on an operator's reset, once the guardian has seen a beat.
    pub fn reset(&self) {
        let beats = self.says.beats.load(Ordering::SeqCst);
        while self.says.beats.load(Ordering::SeqCst) < beats + 20 {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.link.reset(self.link.fence.since_ns()).unwrap();
    }

    pub fn goodbye(self) {
        self.link.goodbye().unwrap();
    }
}

impl Drop for TestRt {
    fn drop(&mut self) {
        self.says.over.store(true, Ordering::SeqCst);
        let _ = self.thread.take().unwrap().join();
    }
}

/// Connects, says something that is no handshake, and leaves.
pub fn knock(path: &Path, words: &[u8]) {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).unwrap();
    if connect(fd.as_raw_fd(), &UnixAddr::new(path).unwrap()).is_ok() {
        let _ = send(fd.as_raw_fd(), words, MsgFlags::MSG_NOSIGNAL);
    }
}
