//! Two processes: this program starts itself again, hands the descriptors over and gives orders.
//!
//! The control socket is the peer's standard input; everything else, the shared words too, goes
//! through it (SCM_RIGHTS), so that nothing mapped is ever inherited. `unsafe` is needed to own
//! descriptors that came with a message.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr,
    recvmsg, sendmsg, socketpair,
};

use crate::failure::Failure;

/// The hidden argument with which this program is its own peer.
pub const ARGUMENT: &str = "--peer";
/// Words of a message.
pub const WORDS: usize = 4;
/// Descriptors that are handed over: shared words, socket, pipe to read from, pipe to write to.
pub const DESCRIPTORS: usize = 4;

const BYTES: usize = 8 * WORDS;

/// One message.
pub type Message = [u64; WORDS];

/// The two ends of a SEQPACKET socket, closed on exec.
pub fn pair() -> Result<(OwnedFd, OwnedFd), Failure> {
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
        .map_err(Failure::of("socketpair"))
}

/// One end of the control socket.
#[derive(Debug)]
pub struct Control(OwnedFd);

impl Control {
    /// The peer's end, from its standard input.
    pub fn of_standard_input() -> Result<Control, Failure> {
        let input = std::io::stdin();
        input.as_fd().try_clone_to_owned().map(Control).map_err(Failure::io("standard input"))
    }

    /// Sends a message, with descriptors or without.
    pub fn send(&self, message: Message, descriptors: &[RawFd]) -> Result<(), Failure> {
        let mut bytes = [0; BYTES];
        for (eight, word) in bytes.chunks_exact_mut(8).zip(message) {
            eight.copy_from_slice(&word.to_le_bytes());
        }
        let rights = [ControlMessage::ScmRights(descriptors)];
        let rights = if descriptors.is_empty() { &[][..] } else { &rights[..] };
        let flags = MsgFlags::MSG_NOSIGNAL;
        sendmsg::<UnixAddr>(self.0.as_raw_fd(), &[IoSlice::new(&bytes)], rights, flags, None)
            .map(drop)
            .map_err(|errno| match errno {
                Errno::EPIPE | Errno::ECONNRESET => Failure::Gone,
                errno => Failure::Os { call: "sendmsg", errno },
            })
    }

    /// Waits for a message and what came with it.
    pub fn receive(&self) -> Result<(Message, Vec<OwnedFd>), Failure> {
        let mut bytes = [0; BYTES];
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let mut room = nix::cmsg_space!([RawFd; DESCRIPTORS]);
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let received = recvmsg::<UnixAddr>(self.0.as_raw_fd(), &mut parts, Some(&mut room), flags)
            .map_err(Failure::of("recvmsg"))?;
        let mut owned = Vec::new();
        for control in received.cmsgs().map_err(Failure::of("recvmsg"))? {
            if let ControlMessageOwned::ScmRights(raw) = control {
                // SAFETY: the kernel has just installed these descriptors for us alone.
                owned.extend(raw.into_iter().map(|raw| unsafe { OwnedFd::from_raw_fd(raw) }));
            }
        }
        match received.bytes {
            0 => return Err(Failure::Gone),
            BYTES => {}
            _ => return Err(Failure::Disagreement("length of a message")),
        }
        let mut words = bytes.chunks_exact(8);
        let mut next = || words.next().and_then(|eight| eight.try_into().ok());
        Ok((std::array::from_fn(|_| next().map_or(0, u64::from_le_bytes)), owned))
    }
}

/// The peer's process.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    control: Control,
    ended: Arc<AtomicBool>,
}

impl Peer {
    /// Starts it.
    pub fn start() -> Result<Peer, Failure> {
        let (ours, theirs) = pair()?;
        let program = std::env::current_exe().map_err(Failure::io("this program's path"))?;
        let child = Command::new(program)
            .arg(ARGUMENT)
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .spawn()
            .map_err(Failure::io("starting the other process"))?;
        let ended = Arc::new(AtomicBool::new(false));
        let watched = ours.try_clone().map_err(Failure::io("dup"))?;
        let flag = Arc::clone(&ended);
        std::thread::spawn(move || watch(&watched, &flag));
        Ok(Peer { child, control: Control(ours), ended })
    }

    /// Sends it a message.
    pub fn send(&self, message: Message, descriptors: &[RawFd]) -> Result<(), Failure> {
        self.control.send(message, descriptors)
    }

    /// Waits for its message.
    pub fn answer(&self) -> Result<Message, Failure> {
        Ok(self.control.receive()?.0)
    }

    /// Lets it end, and waits for that.
    pub fn end(mut self) -> Result<(), Failure> {
        self.ended.store(true, Ordering::Release);
        self.send([u64::MAX; WORDS], &[])?;
        let status = self.child.wait().map_err(Failure::io("wait"))?;
        if status.success() { Ok(()) } else { Err(Failure::Gone) }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        // Nothing is left to do where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ends this process when the other one is gone: what is compared with may wait for it for ever.
fn watch(control: &OwnedFd, ended: &AtomicBool) {
    // A hang-up is reported without being asked for.
    let mut hang_up = [PollFd::new(control.as_fd(), PollFlags::empty())];
    while poll(&mut hang_up, PollTimeout::NONE) == Err(Errno::EINTR) {}
    if !ended.load(Ordering::Acquire) {
        eprintln!("link: {}", Failure::Gone);
        std::process::exit(2);
    }
}
