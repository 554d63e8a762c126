//! Which of the kernel's CAN interfaces reach no wire. One place decides it: simulated drives answer
//! on such an interface only, and what was measured on one certifies no other.

use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::net::if_::if_nametoindex;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType};
use nix::sys::socket::{recv, send, socket};

/// Where the kernel lists its interfaces.
pub const SYSFS: &str = "/sys/class/net";
/// Kinds of link whose frames reach no wire: linux, drivers/net/can/vcan.c and vxcan.c. A serial
/// adapter (slcan) has no device in sysfs either, and is a real bus.
pub const VIRTUAL_KINDS: [&str; 2] = ["vcan", "vxcan"];

/// Whether no hardware can be behind an interface. What cannot be told is not virtual: motors may
/// be on it.
pub fn is_virtual(interface: &str) -> bool {
    is_virtual_at(Path::new(SYSFS), interface, link_kind)
}

fn is_virtual_at(
    sysfs: &Path,
    interface: &str,
    kind: impl Fn(&str) -> io::Result<Option<String>>,
) -> bool {
    let named = kind(interface).ok().flatten();
    named.is_some_and(|kind| VIRTUAL_KINDS.contains(&kind.as_str()))
        && !sysfs.join(interface).join("device").exists()
}

/// What `ip -details link` shows as the link's kind, asked of the kernel (rtnetlink(7)).
///
/// # Errors
/// There is no such interface, or the kernel does not answer.
pub fn link_kind(interface: &str) -> io::Result<Option<String>> {
    const ANSWER_MAX: usize = 32 << 10;
    let flags = SockFlag::SOCK_CLOEXEC;
    let protocol = SockProtocol::NetlinkRoute;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
    send(socket.as_raw_fd(), &link_request(if_nametoindex(interface)?), MsgFlags::empty())?;
    let mut answer = vec![0; ANSWER_MAX];
    // The kernel has answered by the time that `send` returns.
    let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::MSG_DONTWAIT)?;
    Ok(kind_of(answer.get(..length).unwrap_or_default()))
}

const HEADER: usize = 16;
const LINK: usize = 16;

/// A `struct nlmsghdr` and a `struct ifinfomsg`.
fn link_request(index: u32) -> Vec<u8> {
    const GET_LINK: u16 = 18;
    const REQUEST: u16 = 1;
    let mut request = Vec::with_capacity(HEADER + LINK);
    let length = u32::try_from(HEADER + LINK).unwrap_or(0);
    request.extend(length.to_ne_bytes());
    request.extend(GET_LINK.to_ne_bytes());
    request.extend(REQUEST.to_ne_bytes());
    request.extend([0; 8]); // sequence number and port
    request.extend([0; 4]); // family and type: any
    request.extend(index.to_ne_bytes());
    request.extend([0; 8]); // flags and their mask
    request
}

/// The kind in the kernel's answer: attribute IFLA_INFO_KIND within IFLA_LINKINFO.
fn kind_of(answer: &[u8]) -> Option<String> {
    const NEW_LINK: u16 = 16;
    const LINK_INFO: u16 = 18;
    const INFO_KIND: u16 = 1;
    let answered = answer.get(4..6)?.first_chunk::<2>().map(|two| u16::from_ne_bytes(*two))?;
    if answered != NEW_LINK {
        return None;
    }
    let link = attribute(answer.get(HEADER + LINK..)?, LINK_INFO)?;
    let kind = attribute(link, INFO_KIND)?;
    let text = kind.split(|byte| *byte == 0).next()?;
    String::from_utf8(text.to_vec()).ok()
}

/// The payload of the first attribute of that type in a row of `struct rtattr`.
fn attribute(mut row: &[u8], wanted: u16) -> Option<&[u8]> {
    const TYPE: u16 = 0x3fff; // without the bits for nesting and byte order
    loop {
        let (length, rest) = row.split_first_chunk::<2>()?;
        let (kind, _) = rest.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_ne_bytes(*length));
        let payload = row.get(4..length)?;
        if u16::from_ne_bytes(*kind) & TYPE == wanted {
            return Some(payload);
        }
        row = row.get(length.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_kind_without_a_wire_is_virtual_and_a_serial_adapter_has_one() {
        let sysfs = Path::new("/no-sysfs-here");
        let with =
            |kind: Option<&str>| is_virtual_at(sysfs, "can0", |_| Ok(kind.map(ToOwned::to_owned)));
        assert!(with(Some("vcan")) && with(Some("vxcan")));
        // slcan is of its own kind, of kind `can`, or of none, as the kernel's age has it.
        assert!(!with(Some("slcan")) && !with(Some("can")) && !with(None));
        assert!(!is_virtual_at(sysfs, "can0", |_| Err(io::Error::other("no answer"))));
        assert!(!is_virtual("lo") && !is_virtual("nocan9"));
        assert_eq!(link_kind("lo").unwrap(), None);
    }

    #[test]
    fn a_device_behind_a_virtual_kind_is_hardware() {
        let sysfs = std::env::temp_dir().join(format!("hal-sysfs-{}", std::process::id()));
        std::fs::create_dir_all(sysfs.join("vcan0/device")).unwrap();
        let found = is_virtual_at(&sysfs, "vcan0", |_| Ok(Some("vcan".to_owned())));
        let _ = std::fs::remove_dir_all(&sysfs);
        assert!(!found);
    }

    #[test]
    fn an_answer_that_is_cut_off_names_no_kind() {
        let mut answer = vec![0; HEADER + LINK];
        answer[4] = 16;
        // IFLA_LINKINFO (18) with IFLA_INFO_KIND (1) in it.
        answer.extend([12, 0, 18, 0, 8, 0, 1, 0, b'v', b'c', b'a', b'n']);
        assert_eq!(kind_of(&answer).as_deref(), Some("vcan"));
        for length in 0..answer.len() {
            assert_eq!(kind_of(&answer[..length]), None, "{length}");
        }
        answer[4] = 2;
        assert_eq!(kind_of(&answer), None, "an error is no link");
    }
}
