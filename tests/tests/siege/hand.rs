//! A connection made by hand from the tables of shm-protocol/README.md: it can say, write and keep what
//! no honest planner would.

use std::io::{IoSlice, IoSliceMut};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr,
    connect, recvmsg, sendmsg, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use shm_protocol::board;
use shm_protocol::codec::{intent, telemetry};
use shm_protocol::layout::{
    INTENTS, IntentPage, LAYOUT_HASH, MAGIC, TELEMETRY, TelemetryPage, VERDICTS, VERSION,
};
use shm_protocol::records::{Intent, Telemetry};

/// Kinds of the handshake's messages.
pub const HELLO: u64 = 1;
/// See [`HELLO`].
pub const PAGES: u64 = 2;
/// See [`HELLO`].
pub const REFUSED: u64 = 3;
/// See [`HELLO`].
pub const MAPPED: u64 = 4;
/// See [`HELLO`].
pub const GO: u64 = 5;
/// A refusal's code: another planner is connected.
pub const BUSY: u64 = 5;

/// Nothing here waits longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A message of this version.
pub fn message(kind: u64, argument: u64) -> [u64; 8] {
    [MAGIC, VERSION, LAYOUT_HASH, kind, argument, 0, 0, 0]
}

/// What was heard.
pub struct Heard {
    /// The message; none: the other side has closed.
    pub words: Option<[u64; 8]>,
    /// What came with it.
    pub descriptors: Vec<OwnedFd>,
}

/// One end of a socket.
pub struct Visit(OwnedFd);

impl Visit {
    /// Knocks; waits while the queue is full.
    pub fn connect(path: &Path) -> nix::Result<Visit> {
        let socket =
            socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
        setsockopt(&socket, sockopt::SendTimeout, &TimeVal::seconds(30))?;
        connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
        Ok(Visit(socket))
    }

    /// Says any bytes, with any descriptors.
    pub fn say_bytes(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> nix::Result<()> {
        let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        let control = if raw.is_empty() { &[][..] } else { &rights[..] };
        let (flags, parts) = (MsgFlags::MSG_NOSIGNAL, [IoSlice::new(bytes)]);
        sendmsg::<UnixAddr>(self.0.as_raw_fd(), &parts, control, flags, None).map(drop)
    }

    /// Says a message.
    pub fn say(&self, words: [u64; 8]) -> nix::Result<()> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.say_bytes(&bytes, &[])
    }

    /// Waits for a message or the end.
    pub fn hear(&self) -> Heard {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        let patience = PollTimeout::try_from(PATIENCE).unwrap();
        assert_eq!(poll(&mut fds, patience), Ok(1), "neither a message nor the end came");
        let mut bytes = [0; 64];
        let mut space = nix::cmsg_space!([RawFd; 8]);
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let mut descriptors = Vec::new();
        let mut once = || {
            let (raw, flags) = (self.0.as_raw_fd(), MsgFlags::MSG_CMSG_CLOEXEC);
            let found = recvmsg::<UnixAddr>(raw, &mut parts, Some(&mut space), flags)?;
            for part in found.cmsgs()? {
                if let ControlMessageOwned::ScmRights(rights) = part {
                    // SAFETY: the kernel has just installed these descriptors for us alone.
                    let owned = |raw: &RawFd| unsafe { OwnedFd::from_raw_fd(*raw) };
                    descriptors.extend(rights.iter().map(owned));
                }
            }
            Ok(found.bytes)
        };
        // A side that closed with something unread resets once, before its last word.
        let count = match once() {
            Err(Errno::ECONNRESET) => once(),
            found => found,
        };
        let word = |word: usize| u64::from_le_bytes(bytes[8 * word..][..8].try_into().unwrap());
        let whole = count.is_ok_and(|count| count == 64);
        Heard { words: whole.then(|| std::array::from_fn(word)), descriptors }
    }

    /// Says hello, and takes the two descriptors, or the refusal's code.
    pub fn pages(&self) -> Result<[OwnedFd; 2], Option<u64>> {
        // One that is refused at the door may be gone already.
        let _ = self.say(message(HELLO, 1));
        let heard = self.hear();
        match heard.words {
            Some(words) if words[3] == PAGES => {
                Ok(heard.descriptors.try_into().expect("two descriptors"))
            }
            Some(words) if words[3] == REFUSED => Err(Some(words[4])),
            Some(words) => panic!("neither pages nor a refusal: {words:?}"),
            None => Err(None),
        }
    }

    /// Says that the pages are mapped; whether it may begin.
    pub fn go(&self) -> bool {
        self.say(message(MAPPED, 0)).is_ok() && self.hear().words.is_some_and(|w| w[3] == GO)
    }
}

/// Both pages, mapped for the rest of the process.
#[derive(Clone, Copy)]
pub struct Pages {
    /// The planner's page.
    pub intent: &'static IntentPage<AtomicU64>,
    /// The same as words.
    pub words: &'static [AtomicU64],
    /// The daemon's page; only to be read.
    pub telemetry: &'static TelemetryPage<AtomicU64>,
}

fn mapped<P>(page: &OwnedFd, protection: ProtFlags) -> &'static P {
    let length = NonZeroUsize::new(size_of::<P>()).unwrap();
    // SAFETY: a fresh mapping, never unmapped, as long as the page, which consists of atomics; the
    // file's size is sealed.
    unsafe {
        mmap(None, length, protection, MapFlags::MAP_SHARED, page, 0).unwrap().cast().as_ref()
    }
}

impl Pages {
    /// Maps them as the handshake wants it.
    pub fn map([intent, telemetry]: &[OwnedFd; 2]) -> Pages {
        let both = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let intent: &IntentPage<AtomicU64> = mapped(intent, both);
        let count = size_of::<IntentPage<AtomicU64>>() / 8;
        // SAFETY: the page consists of this many atomics, and is never unmapped.
        let words = unsafe { std::slice::from_raw_parts(std::ptr::from_ref(intent).cast(), count) };
        Pages { intent, words, telemetry: mapped(telemetry, ProtFlags::PROT_READ) }
    }

    /// The newest state.
    pub fn state(&self) -> Option<Telemetry> {
        let mut words = [0; telemetry::WORDS];
        let page = self.telemetry;
        let (newest, tries) = (&page.newest.word, board::TRIES_MAX);
        board::read(TELEMETRY, &page.telemetry, newest, tries, &mut words)
            .then(|| telemetry::take(&words))
    }

    /// How many intents the daemon has taken: the index of the record that it waits for.
    pub fn due(&self) -> u64 {
        self.telemetry.intents_read.word.load(Ordering::Acquire)
    }

    /// How many verdicts the daemon has sent, from the ring itself.
    pub fn verdicts_sent(&self) -> u64 {
        let heads = self.telemetry.verdicts.chunks(VERDICTS.stride());
        heads.map(|slot| slot[0].load(Ordering::Acquire) & 0xffff_ffff).max().unwrap_or(0)
    }

    /// The words of the slot of record `index`.
    pub fn slot(&self, index: u64) -> &'static [AtomicU64] {
        let place = index.wrapping_mul(91) % INTENTS.slots();
        &self.intent.intents[place as usize * INTENTS.stride()..][..INTENTS.stride()]
    }

    /// Writes record `index`, whole and with its checksum.
    pub fn write(&self, index: u64, intent: &Intent) {
        let mut words = [0; intent::WORDS];
        intent::put(intent, &mut words);
        let slot = self.slot(index);
        for (word, value) in slot[1..].iter().zip(words) {
            word.store(value, Ordering::Relaxed);
        }
        slot[0].store(head(index.wrapping_add(1), &words), Ordering::Release);
    }
}

/// A record's first word: half of its sequence number, and the checksum in its three lanes.
pub fn head(sequence: u64, words: &[u64]) -> u64 {
    let all: Vec<u64> = std::iter::once(sequence).chain(words.iter().copied()).collect();
    let lane = |lane| all.iter().copied().skip(lane).step_by(3);
    let last = crc(lane(0)) | crc(lane(1)) << 32;
    sequence & 0xffff_ffff | crc(lane(2).chain([last])) << 32
}

fn crc(words: impl Iterator<Item = u64>) -> u64 {
    u64::from(!words.fold(u32::MAX, next))
}

/// CRC-32C of one more word.
fn next(sum: u32, word: u64) -> u32 {
    word.to_le_bytes()
        .into_iter()
        .fold(sum, |sum, byte| sum >> 8 ^ TABLE[usize::from((sum as u8) ^ byte)])
}

static TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut sum, mut bit) = (byte as u32, 0);
        while bit < 8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0x82f6_3b78 } else { sum >> 1 };
            bit += 1;
        }
        table[byte] = sum;
        byte += 1;
    }
    table
};
