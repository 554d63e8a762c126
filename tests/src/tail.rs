//! A log followed while it grows, for runs whose logs no disk should keep.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use nix::fcntl::{FallocateFlags, fallocate};

/// Bytes taken at once.
const CHUNK: usize = 1 << 20;

/// A log and how far it was read. What was read is gone from the disk: there is a hole.
#[derive(Debug)]
pub struct Tail {
    file: File,
    read: u64,
    line: Vec<u8>,
}

impl Tail {
    /// Begins at the beginning.
    pub fn of(path: &Path) -> Tail {
        let file = File::options().read(true).write(true).open(path).expect("the log is there");
        Tail { file, read: 0, line: vec![] }
    }

    /// Looks at every line that is complete and was not looked at before.
    pub fn look(&mut self, mut at: impl FnMut(&str)) {
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = self.file.read_at(&mut chunk, self.read).expect("the log can be read");
            if count == 0 {
                break;
            }
            for part in chunk[..count].split_inclusive(|byte| *byte == b'\n') {
                self.line.extend_from_slice(part);
                if self.line.ends_with(b"\n") {
                    at(String::from_utf8_lossy(&self.line).trim_end());
                    self.line.clear();
                }
            }
            self.forget(count);
        }
    }

    fn forget(&mut self, count: usize) {
        let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        self.read += count as u64;
        // A file system without holes keeps it all: it only costs its room. From the beginning each
        // time, as the kernel frees whole blocks only.
        let _ = fallocate(&self.file, hole, 0, self.read as i64);
    }

    /// Bytes read so far.
    pub fn read(&self) -> u64 {
        self.read
    }
}
