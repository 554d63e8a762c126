//! Which of the kernel's CAN interfaces simulated drives may answer on: virtual ones only. Beside
//! real drives they would answer in their place, and `mechos up` would arm what moves a real motor.

use std::io;
use std::path::Path;

use hal::interface::{SYSFS, VIRTUAL_KINDS, link_kind};

const IS_UP: u64 = 1;

/// Why simulated drives are not attached to an interface.
#[derive(Debug, thiserror::Error)]
pub enum InterfaceError {
    /// It is not there.
    #[error(
        "there is no CAN interface {0}; make a virtual one: \
         ip link add {0} type vcan && ip link set {0} up"
    )]
    Absent(String),
    /// It may have real drives.
    #[error(
        "simulated drives are attached to virtual CAN interfaces only, and {interface} is \
         {found}: real drives may be on it. Make a virtual one, `ip link add vcan0 type vcan && \
         ip link set vcan0 up`, and write interface = \"vcan0\" in the robot file"
    )]
    Real {
        /// The interface.
        interface: String,
        /// What it was found to be.
        found: String,
    },
    /// It is not up.
    #[error("the CAN interface {0} is down; bring it up: ip link set {0} up")]
    Down(String),
    /// The system did not tell.
    #[error("cannot tell whether {interface} is a virtual CAN interface: {source}")]
    System {
        /// The interface.
        interface: String,
        /// Why not.
        source: io::Error,
    },
}

/// Passes an interface that is there, virtual and up.
///
/// # Errors
/// [`InterfaceError`], with the command that mends it.
pub fn check_virtual(interface: &str) -> Result<(), InterfaceError> {
    check(Path::new(SYSFS), interface, link_kind)
}

fn check(
    sysfs: &Path,
    interface: &str,
    kind: impl Fn(&str) -> io::Result<Option<String>>,
) -> Result<(), InterfaceError> {
    let system = |source| InterfaceError::System { interface: interface.to_owned(), source };
    let real = |found| InterfaceError::Real { interface: interface.to_owned(), found };
    let folder = sysfs.join(interface);
    if interface.is_empty() || interface.contains('/') || !folder.exists() {
        return Err(InterfaceError::Absent(interface.to_owned()));
    }
    // The link leads to the device's place: below devices/virtual where no hardware is behind it.
    let place = folder.canonicalize().map_err(system)?;
    let is_virtual = place.parent().is_some_and(|place| place.ends_with("devices/virtual/net"));
    if !is_virtual || folder.join("device").exists() {
        return Err(real(format!("a device ({})", place.display())));
    }
    match kind(interface).map_err(system)? {
        Some(kind) if VIRTUAL_KINDS.contains(&kind.as_str()) => {}
        Some(kind) => return Err(real(format!("of kind {kind}"))),
        None => return Err(real("of a kind that the kernel does not name".to_owned())),
    }
    let flags = std::fs::read_to_string(folder.join("flags")).map_err(system)?;
    match u64::from_str_radix(flags.trim().trim_start_matches("0x"), 16) {
        Ok(flags) if flags & IS_UP != 0 => Ok(()),
        _ => Err(InterfaceError::Down(interface.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    struct Sysfs(PathBuf);

    impl Sysfs {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("mechos-sysfs-{name}-{}", std::process::id()));
            std::fs::create_dir_all(path.join("class/net")).unwrap();
            Self(path)
        }

        fn add(&self, interface: &str, place: &str, flags: &str) {
            let folder = self.0.join("devices").join(place).join("net").join(interface);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("flags"), flags).unwrap();
            symlink(&folder, self.0.join("class/net").join(interface)).unwrap();
        }

        fn check(&self, interface: &str, kind: &str) -> Result<(), InterfaceError> {
            let kind = (!kind.is_empty()).then(|| kind.to_owned());
            check(&self.0.join("class/net"), interface, |_| Ok(kind.clone()))
        }
    }

    impl Drop for Sysfs {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn only_a_virtual_interface_that_is_up_passes() {
        let sysfs = Sysfs::new("kinds");
        sysfs.add("vcan0", "virtual", "0x10041\n");
        sysfs.add("vcan1", "virtual", "0x10040\n");
        sysfs.add("can0", "pci0000:00/0000:00:04.0", "0x40041\n");
        assert!(sysfs.check("vcan0", "vcan").is_ok());
        assert!(sysfs.check("vcan0", "vxcan").is_ok());
        assert!(matches!(sysfs.check("vcan1", "vcan"), Err(InterfaceError::Down(_))));
        assert!(matches!(sysfs.check("can0", "can"), Err(InterfaceError::Real { .. })));
        for serial in ["slcan", "can", ""] {
            let error = sysfs.check("vcan0", serial).unwrap_err();
            assert!(matches!(error, InterfaceError::Real { .. }), "{serial}: {error}");
        }
    }

    #[test]
    fn hardware_behind_a_virtual_place_is_real() {
        let sysfs = Sysfs::new("device");
        sysfs.add("vcan0", "virtual", "0x10041\n");
        std::fs::create_dir(sysfs.0.join("class/net/vcan0/device")).unwrap();
        assert!(matches!(sysfs.check("vcan0", "vcan"), Err(InterfaceError::Real { .. })));
    }

    #[test]
    fn a_missing_interface_says_how_to_make_one() {
        let sysfs = Sysfs::new("missing");
        for name in ["vcan7", "", "../net"] {
            assert!(matches!(sysfs.check(name, "vcan"), Err(InterfaceError::Absent(_))));
        }
        let error = check_virtual("nocan9").unwrap_err().to_string();
        assert!(error.contains("ip link add nocan9 type vcan && ip link set nocan9 up"), "{error}");
    }

    #[test]
    fn the_loopback_is_no_can_interface() {
        assert!(matches!(check_virtual("lo"), Err(InterfaceError::Real { .. })));
    }
}
