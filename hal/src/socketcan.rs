//! A CAN bus of the Linux kernel, as a raw socket: own frames echoed, error frames on, arrival
//! times, lost frames counted. The crate `socketcan` opens and configures; frames themselves go
//! through the descriptor, because echo flag, time and loss counter come only with `recvmsg`.

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, send, setsockopt, sockopt};
use nix::time::{ClockId, clock_gettime};
use socketcan::{CanFilter, CanSocket, Socket, SocketOptions};

use crate::bus::{Bus, BusError, ControllerState, FILTERS_MAX, Filter, Received};
use crate::frame::{DATA_MAX, EXTENDED_ID_MAX, Frame, FrameKind, STANDARD_ID_MAX};

const EXTENDED: u32 = libc::CAN_EFF_FLAG;
const REMOTE: u32 = libc::CAN_RTR_FLAG;
const ERROR: u32 = libc::CAN_ERR_FLAG;
/// Size of `struct can_frame`, bytes: id u32, length u8, three bytes, 8 of payload.
const CLASSIC_MTU: usize = 16;
/// Size of `struct canfd_frame`, bytes: id u32, length u8, flags u8, two bytes, 64 of payload.
const FD_MTU: usize = 72;
const HEADER: usize = 8;
const _: () = assert!(size_of::<libc::can_frame>() == CLASSIC_MTU);
const _: () = assert!(size_of::<libc::canfd_frame>() == FD_MTU);
const _: () = assert!(HEADER + DATA_MAX == FD_MTU);
/// An arrival time older than this is not believed: the wall clock was set meanwhile.
const AGE_MAX_NS: u64 = 1_000_000_000;

/// A raw socket on one CAN interface.
pub struct SocketCan {
    socket: OwnedFd,
    has_fd: bool,
    state: ControllerState,
    /// The interface was deleted: this socket never works again.
    is_gone: bool,
    /// The kernel's counter of frames that did not fit into the receive buffer.
    overflows: u32,
    lost: u64,
}

impl SocketCan {
    /// Opens `interface`, with FD frames where the interface has them.
    ///
    /// # Errors
    /// No such interface, no rights, too many filters, or a kernel without CAN.
    pub fn open(
        interface: &str,
        filters: &[Filter],
        priority: Option<u32>,
    ) -> Result<SocketCan, BusError> {
        if filters.len() > FILTERS_MAX {
            return Err(BusError::Client { name: 0, filters: filters.len() });
        }
        let failed = |source: io::Error| {
            let what = format!("CAN interface {interface}");
            BusError::Open { what, source }
        };
        let socket = CanSocket::open(interface).map_err(failed)?;
        // Without an interface MTU of 72 the kernel refuses FD frames; classic ones still work.
        let has_fd = mtu(&socket, interface).map_err(failed)? == FD_MTU;
        configure(&socket, filters, has_fd).map_err(failed)?;
        let socket = socket.as_fd().try_clone_to_owned().map_err(failed)?;
        if let Some(priority) = priority {
            let value = i32::try_from(priority).unwrap_or(i32::MAX);
            setsockopt(&socket, sockopt::Priority, &value).map_err(|errno| failed(errno.into()))?;
        }
        let state = ControllerState::ErrorActive;
        let mut bus = SocketCan { socket, has_fd, state, is_gone: false, overflows: 0, lost: 0 };
        // Filters apply from where they were set: drop what came before.
        for _ in 0..4_096 {
            if !matches!(bus.receive(), Ok(Some(_))) {
                break;
            }
        }
        Ok(bus)
    }

    fn failed(&mut self, call: &'static str, errno: Errno) -> BusError {
        match errno {
            Errno::EAGAIN | Errno::ENOBUFS | Errno::EINTR => BusError::Full,
            Errno::ENETDOWN => {
                self.state = ControllerState::Down;
                BusError::Down
            }
            Errno::ENODEV | Errno::ENXIO => {
                self.state = ControllerState::Down;
                self.is_gone = true;
                BusError::Gone
            }
            other => BusError::Io { call, errno: other as i32 },
        }
    }
}

fn configure(socket: &CanSocket, filters: &[Filter], has_fd: bool) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    if !filters.is_empty() {
        let filters: Vec<CanFilter> = filters.iter().map(kernel_filter).collect();
        socket.set_filters(&filters)?;
    }
    if has_fd {
        socket.set_socket_option_int(libc::SOL_CAN_RAW, libc::CAN_RAW_FD_FRAMES, 1)?;
    }
    socket.set_error_filter_accept_all()?;
    socket.set_recv_own_msgs(true)?;
    socket.set_recv_timestamp(true)?;
    socket.set_socket_option_int(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1)
}

/// The interface's MTU, asked of the socket: a file in /sys would need calls that a real-time
/// thread, which opens a deleted interface again, may not make.
fn mtu(socket: &CanSocket, interface: &str) -> io::Result<usize> {
    // SAFETY: all-zero bytes are a valid ifreq.
    let mut request: libc::ifreq = unsafe { zeroed() };
    // The last byte stays zero.
    let room = request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1);
    for (to, from) in room.zip(interface.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    // SAFETY: SIOCGIFMTU reads the name and writes the MTU of this live ifreq. Needed because no
    // safe wrapper has it.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFMTU, &raw mut request) };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call above has written this field of the union.
    let mtu = unsafe { request.ifr_ifru.ifru_mtu };
    Ok(usize::try_from(mtu).unwrap_or(0))
}

/// Compares the width of the identifier too, and lets no remote frame pass.
fn kernel_filter(filter: &Filter) -> CanFilter {
    let is_extended = filter.id & Filter::EXTENDED != 0;
    let id = filter.id & EXTENDED_ID_MAX;
    let mask = (filter.mask & EXTENDED_ID_MAX) | EXTENDED | REMOTE;
    CanFilter::new(if is_extended { id | EXTENDED } else { id }, mask)
}

/// Writes a frame as the kernel has it; gives the bytes to send.
fn encode<'b>(frame: &Frame, buffer: &'b mut [u8; FD_MTU]) -> &'b [u8] {
    let flags = match frame.kind() {
        FrameKind::Remote => REMOTE,
        FrameKind::Error => ERROR,
        FrameKind::Data | FrameKind::Fd => 0,
    };
    let id = frame.id() | flags | if frame.is_extended() { EXTENDED } else { 0 };
    let len = u8::try_from(frame.len()).unwrap_or(0);
    let header = id.to_ne_bytes().into_iter().chain([len, 0, 0, 0]);
    for (to, from) in buffer.iter_mut().zip(header.chain(frame.data().iter().copied())) {
        *to = from;
    }
    let size = if frame.kind() == FrameKind::Fd { FD_MTU } else { CLASSIC_MTU };
    buffer.get(..size).unwrap_or_default()
}

/// Reads a frame as the kernel has it; `None` for what none can be.
fn decode(bytes: &[u8]) -> Option<Frame> {
    let is_fd = match bytes.len() {
        CLASSIC_MTU => false,
        FD_MTU => true,
        _ => return None,
    };
    let (id, rest) = bytes.split_first_chunk::<4>()?;
    let id = u32::from_ne_bytes(*id);
    let len = usize::from(*rest.first()?);
    let data = rest.get(HEADER - 4..)?.get(..len)?;
    let extended = id & EXTENDED != 0;
    let kind = match id {
        id if id & ERROR != 0 => FrameKind::Error,
        id if id & REMOTE != 0 => FrameKind::Remote,
        _ if is_fd => FrameKind::Fd,
        _ => FrameKind::Data,
    };
    let is_wide = extended || kind == FrameKind::Error;
    let id = id & if is_wide { EXTENDED_ID_MAX } else { STANDARD_ID_MAX };
    Frame::build(id, kind, extended, data).ok()
}

/// What came beside a frame.
#[derive(Clone, Copy, Default)]
struct Beside {
    /// Arrival, CLOCK_REALTIME ns.
    real_ns: Option<u64>,
    /// Frames lost so far, modulo 2^32.
    overflows: Option<u32>,
    echo: bool,
}

/// Receives one datagram and what came beside it.
fn receive(socket: &OwnedFd, buffer: &mut [u8; FD_MTU]) -> Result<(usize, Beside), Errno> {
    #[repr(align(8))]
    struct Control([u8; 128]);
    let mut control = Control([0; 128]);
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: all-zero bytes are a valid msghdr (null pointers and zero lengths).
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len();
    // SAFETY: the descriptor is open; every pointer in `message` is to a live local of the length
    // that stands beside it. Needed because no safe wrapper gives MSG_CONFIRM.
    let len = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT) };
    let len = usize::try_from(len).map_err(|_| Errno::last())?;
    let echo = message.msg_flags & libc::MSG_CONFIRM != 0;
    let mut beside = Beside { echo, ..Beside::default() };
    // SAFETY: `message` was filled by the kernel and `control` is still alive.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    while !header.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR give null or a whole header inside `control`,
        // whose alignment is that of a header.
        let (level, kind) = unsafe { ((*header).cmsg_level, (*header).cmsg_type) };
        // SAFETY: as above; the data of a message follows its header.
        let data = unsafe { libc::CMSG_DATA(header) };
        match (level, kind) {
            (libc::SOL_SOCKET, libc::SO_TIMESTAMPNS) => {
                // SAFETY: the kernel wrote a timespec; it need not be aligned.
                let time = unsafe { data.cast::<libc::timespec>().read_unaligned() };
                beside.real_ns = nanoseconds(time.tv_sec, time.tv_nsec);
            }
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                // SAFETY: the kernel wrote a u32; it need not be aligned.
                beside.overflows = Some(unsafe { data.cast::<u32>().read_unaligned() });
            }
            _ => {}
        }
        // SAFETY: `header` is a header of `message`, as above.
        header = unsafe { libc::CMSG_NXTHDR(&raw const message, header) };
    }
    Ok((len, beside))
}

fn nanoseconds(seconds: i64, nanoseconds: i64) -> Option<u64> {
    let seconds = u64::try_from(seconds).ok()?.checked_mul(1_000_000_000)?;
    seconds.checked_add(u64::try_from(nanoseconds).ok()?)
}

fn clock_ns(clock: ClockId) -> u64 {
    let now = clock_gettime(clock).ok();
    now.and_then(|now| nanoseconds(now.tv_sec(), now.tv_nsec())).unwrap_or(0)
}

/// The kernel's arrival time is the wall clock's; its age is carried over to CLOCK_MONOTONIC.
fn monotonic_ns(real_ns: Option<u64>) -> u64 {
    let age_ns = real_ns.and_then(|at| clock_ns(ClockId::CLOCK_REALTIME).checked_sub(at));
    let age_ns = age_ns.filter(|age_ns| *age_ns <= AGE_MAX_NS).unwrap_or(0);
    clock_ns(ClockId::CLOCK_MONOTONIC).saturating_sub(age_ns)
}

impl Bus for SocketCan {
    fn send(&mut self, frame: &Frame) -> Result<(), BusError> {
        if frame.kind() == FrameKind::Fd && !self.has_fd {
            return Err(BusError::Unsupported { kind: FrameKind::Fd });
        }
        let mut buffer = [0; FD_MTU];
        let bytes = encode(frame, &mut buffer);
        match send(self.socket.as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT) {
            Ok(_) => Ok(()),
            Err(errno) => Err(self.failed("send", errno)),
        }
    }

    fn receive(&mut self) -> Result<Option<Received>, BusError> {
        let mut buffer = [0; FD_MTU];
        let (len, beside) = match receive(&self.socket, &mut buffer) {
            Ok(received) => received,
            Err(Errno::EAGAIN | Errno::EINTR) if self.is_gone => return Err(BusError::Gone),
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
            Err(errno) => return Err(self.failed("recvmsg", errno)),
        };
        if let Some(overflows) = beside.overflows {
            self.lost += u64::from(overflows.wrapping_sub(self.overflows));
            self.overflows = overflows;
        }
        let Some(frame) = buffer.get(..len).and_then(decode) else {
            return Err(BusError::Io { call: "recvmsg", errno: Errno::EBADMSG as i32 });
        };
        if self.state == ControllerState::Down {
            // A frame has come: the interface is up again.
            self.state = ControllerState::ErrorActive;
        }
        self.state = self.state.after(&frame);
        let time_ns = monotonic_ns(beside.real_ns);
        Ok(Some(Received { frame, time_ns, echo: beside.echo }))
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn state(&self) -> ControllerState {
        self.state
    }

    fn lost(&self) -> u64 {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_the_kernels_layout() {
        for frame in [
            Frame::new(0x7FF, &[1, 2, 3]).unwrap(),
            Frame::extended(0x1FFF_FFFF, &[9; 8]).unwrap(),
            Frame::remote(0x100, 4).unwrap(),
            Frame::fd(0x123, false, &[7; 64]).unwrap(),
            Frame::error(0x040, [0, 1, 2, 3, 4, 5, 6, 7]).unwrap(),
        ] {
            let mut buffer = [0; FD_MTU];
            assert_eq!(decode(encode(&frame, &mut buffer)), Some(frame));
        }
    }

    #[test]
    fn what_no_frame_can_be_is_none() {
        assert_eq!(decode(&[]), None);
        assert_eq!(decode(&[0; 17]), None);
        let mut too_long = [0; CLASSIC_MTU];
        too_long[4] = 9;
        assert_eq!(decode(&too_long), None);
    }

    #[test]
    fn arrival_times_are_never_in_the_future_nor_long_ago() {
        let real_ns = clock_ns(ClockId::CLOCK_REALTIME);
        let before_ns = clock_ns(ClockId::CLOCK_MONOTONIC);
        for given in [None, Some(real_ns), Some(real_ns + 5_000_000_000), Some(0)] {
            let time_ns = monotonic_ns(given);
            assert!(time_ns <= clock_ns(ClockId::CLOCK_MONOTONIC));
            assert!(time_ns + AGE_MAX_NS >= before_ns);
        }
    }

    #[test]
    fn an_interface_that_is_not_there_is_named() {
        let error = SocketCan::open("nocan9", &[], None).err().unwrap().to_string();
        assert!(error.contains("nocan9"), "{error}");
    }
}
