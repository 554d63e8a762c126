//! What an executable may do by its own file: the extended attribute `security.capability`.

use std::path::Path;

use super::host::Unread;

/// capabilities(7).
pub const CAP_IPC_LOCK: u32 = 14;
/// capabilities(7).
pub const CAP_SYS_NICE: u32 = 23;

/// VFS_CAP_FLAGS_EFFECTIVE: the program has them from its first instruction.
const FLAG_EFFECTIVE: u32 = 1;

/// The capabilities that a file gives to whoever starts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileCapabilities {
    permitted: u64,
    is_effective: bool,
}

impl FileCapabilities {
    /// Reads them; a file without any has none.
    ///
    /// # Errors
    /// [`Unread`].
    pub fn of(path: &Path) -> Result<FileCapabilities, Unread> {
        let mut bytes = [0; 24];
        match rustix::fs::getxattr(path, "security.capability", &mut bytes) {
            Ok(length) => bytes
                .get(..length)
                .and_then(FileCapabilities::parse)
                .ok_or_else(|| Unread::Other("unknown form of security.capability".to_owned())),
            Err(rustix::io::Errno::NODATA) => Ok(FileCapabilities::default()),
            Err(rustix::io::Errno::OPNOTSUPP) => {
                Err(Unread::Other("this file system keeps no capabilities".to_owned()))
            }
            Err(errno) => Err(std::io::Error::from(errno).into()),
        }
    }

    /// `struct vfs_cap_data`, revisions 2 and 3: words of 32 bits, lowest byte first.
    fn parse(bytes: &[u8]) -> Option<FileCapabilities> {
        let mut words = bytes
            .chunks_exact(4)
            .map(|word| word.iter().rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte)));
        let (magic, low, _inheritable, high) =
            (words.next()?, words.next()?, words.next()?, words.next()?);
        matches!(magic >> 24, 2 | 3).then_some(FileCapabilities {
            permitted: u64::from(high) << 32 | u64::from(low),
            is_effective: magic & FLAG_EFFECTIVE != 0,
        })
    }

    /// Whether whoever starts the program has this capability at once.
    pub fn has(self, capability: u32) -> bool {
        self.is_effective && self.permitted >> capability & 1 == 1
    }

    /// A file that gives exactly these, for tests.
    #[cfg(test)]
    pub fn with(capabilities: &[u32]) -> FileCapabilities {
        let permitted = capabilities.iter().fold(0, |bits, number| bits | 1 << number);
        FileCapabilities { permitted, is_effective: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_setcap_writes_is_read() {
        // `setcap cap_sys_nice,cap_ipc_lock=ep FILE`, then `getfattr -e hex`.
        let ep = [1, 0, 0, 2, 0, 0x40, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let found = FileCapabilities::parse(&ep).unwrap();
        assert!(found.has(CAP_SYS_NICE) && found.has(CAP_IPC_LOCK) && !found.has(13));
        let mut not_effective = ep;
        not_effective[0] = 0;
        assert!(!FileCapabilities::parse(&not_effective).unwrap().has(CAP_SYS_NICE));
        assert_eq!(FileCapabilities::parse(&ep[..7]), None);
    }

    #[test]
    fn a_plain_file_gives_nothing() {
        let own = std::env::current_exe().unwrap();
        // Some file systems keep no such attribute at all.
        if let Ok(found) = FileCapabilities::of(&own) {
            assert!(!found.has(CAP_SYS_NICE));
        }
        assert_eq!(FileCapabilities::of(Path::new("/mechos-has-none")), Err(Unread::Absent));
    }
}
