//! One message and the descriptors that came with it (SCM_RIGHTS), none of them ever left open.
//!
//! `unsafe` is needed to read what the kernel laid out and to own the descriptors. nix does not serve
//! here: where a message was cut off (MSG_CTRUNC: this process has no descriptor left, recvmsg(2)) it
//! gives no descriptor out at all, and those that the kernel did install would stay open.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

/// Descriptors that the kernel lets one message carry (SCM_MAX_FD, include/net/scm.h). Room for all
/// of them means that none is cut off for want of room.
const DESCRIPTORS_MAX: usize = 253;
/// Words of the control data: one header (16 bytes) and the descriptors.
const CONTROL_WORDS: usize = (16 + DESCRIPTORS_MAX * size_of::<RawFd>()).div_ceil(8);

/// Where the kernel writes control data; aligned as its headers want it.
#[repr(C, align(8))]
struct Control([u64; CONTROL_WORDS]);

const _: () = {
    assert!(align_of::<Control>() >= align_of::<libc::cmsghdr>());
    assert!(size_of::<libc::cmsghdr>() == 16);
};

/// Receives one message without waiting; what it carried is appended to `descriptors`, closed on
/// exec. Returns the message's own length, which may be more than `bytes` has room for.
pub(crate) fn receive(
    socket: &OwnedFd,
    bytes: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
) -> Result<usize, Errno> {
    let mut control = Control([0; CONTROL_WORDS]);
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: a msghdr is pointers and integers, for which zeros are valid.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = (&raw mut control).cast();
    header.msg_controllen = size_of::<Control>() as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC | libc::MSG_TRUNC;
    // SAFETY: the header points at the part and the control data above, with their own lengths; both
    // outlive the call, and the part points at `bytes`, which is borrowed for writing.
    let received = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags) };
    let received = Errno::result(received)?;
    // SAFETY: the kernel has filled the header; its control data is `control`, which lives on.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(&raw const header) };
    // SAFETY: a pointer of CMSG_FIRSTHDR or CMSG_NXTHDR that is not null is a whole, aligned header
    // inside the control data.
    while let Some(found) = unsafe { message.as_ref() } {
        if found.cmsg_level == libc::SOL_SOCKET && found.cmsg_type == libc::SCM_RIGHTS {
            // SAFETY: computes a length and touches no memory.
            let empty = unsafe { libc::CMSG_LEN(0) } as usize;
            #[allow(clippy::unnecessary_cast, reason = "a socklen_t with musl")]
            let length = found.cmsg_len as usize;
            let count = length.saturating_sub(empty) / size_of::<RawFd>();
            // SAFETY: the data of this header lies inside the control data.
            let data = unsafe { libc::CMSG_DATA(message) }.cast::<RawFd>();
            for index in 0..count.min(DESCRIPTORS_MAX) {
                // SAFETY: the kernel wrote `count` descriptors there, installed for us alone, each
                // read once; the address need not be aligned.
                let owned = unsafe { OwnedFd::from_raw_fd(data.add(index).read_unaligned()) };
                descriptors.push(owned);
            }
        }
        // SAFETY: header and message are those of this control data.
        message = unsafe { libc::CMSG_NXTHDR(&raw const header, message) };
    }
    // A length of the kernel's, not negative: that would have been an error.
    Ok(usize::try_from(received).unwrap_or(0))
}
