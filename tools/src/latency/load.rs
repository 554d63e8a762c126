//! Load beside a measurement: threads of ordinary scheduling in a process of their own, bounded in
//! size, that end when the pipe from the measuring process ends, however that one ended.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle, available_parallelism};

use super::options::{LoadKind, LoadOptions};

/// Threads that stream over memory.
const STREAMS: usize = 2;
/// Size of the buffer of each, bytes: past the last cache of common machines.
const STREAM_BYTES: usize = 64 << 20;
/// Bytes that are written at once.
const BLOCK_BYTES: usize = 256 << 10;
/// Size of the file, bytes; then it is written anew from its beginning.
const FILE_BYTES: u64 = 16 << 20;
/// Steps between two looks at the end.
const LOOK_EVERY: u32 = 4_096;

/// Runs the load until `input` ends; the number of threads that did not end well.
///
/// # Errors
/// The system's, for a thread or a file that cannot be made; what was started is ended then.
pub fn run(options: &LoadOptions, mut input: impl Read) -> io::Result<usize> {
    let over = Arc::new(AtomicBool::new(false));
    let mut threads = Vec::new();
    let started = start(options, &over, &mut threads);
    if started.is_ok() {
        // Nothing is ever written: this waits for the end.
        let mut byte = [0];
        while input.read(&mut byte).is_ok_and(|read| read > 0) {}
    }
    // Relaxed: the flag is all that is handed over.
    over.store(true, Ordering::Relaxed);
    let ends = threads.into_iter().map(JoinHandle::join);
    let wrong = ends.filter(|end| !matches!(end, Ok(Ok(())))).count();
    started.map(|()| wrong)
}

type Work = Box<dyn FnOnce(&AtomicBool) -> io::Result<()> + Send>;
type Worker = JoinHandle<io::Result<()>>;

fn start(
    options: &LoadOptions,
    over: &Arc<AtomicBool>,
    threads: &mut Vec<Worker>,
) -> io::Result<()> {
    let mut spawn = |work: Work| {
        let over = Arc::clone(over);
        threads.push(Builder::new().name("load".into()).spawn(move || work(&over))?);
        io::Result::Ok(())
    };
    let mut kinds = options.kinds.clone();
    kinds.sort_unstable();
    kinds.dedup();
    for kind in kinds {
        match kind {
            LoadKind::Cpu => {
                for _ in 0..available_parallelism().map_or(1, usize::from) {
                    spawn(Box::new(busy))?;
                }
            }
            LoadKind::Memory => {
                for _ in 0..STREAMS {
                    spawn(Box::new(stream))?;
                }
            }
            LoadKind::Io => {
                let file = nameless(&options.folder)?;
                spawn(Box::new(move |over| write(file, over)))?;
            }
        }
    }
    Ok(())
}

fn busy(over: &AtomicBool) -> io::Result<()> {
    let mut number = 1_u64;
    while !over.load(Ordering::Relaxed) {
        for _ in 0..LOOK_EVERY {
            number = std::hint::black_box(number.wrapping_mul(6_364_136_223_846_793_005) ^ 1);
        }
    }
    Ok(())
}

fn stream(over: &AtomicBool) -> io::Result<()> {
    let mut buffer = vec![0_u64; STREAM_BYTES / size_of::<u64>()];
    while !over.load(Ordering::Relaxed) {
        for chunk in buffer.chunks_mut(BLOCK_BYTES) {
            for word in chunk {
                *word = word.wrapping_add(1);
            }
            if over.load(Ordering::Relaxed) {
                break;
            }
        }
        std::hint::black_box(&buffer);
    }
    Ok(())
}

/// A file without a name: it goes with its process.
fn nameless(folder: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).mode(0o600).custom_flags(libc::O_TMPFILE).open(folder).or_else(
        |_| {
            // Not every file system has O_TMPFILE.
            let path = folder.join(format!("load-{}", std::process::id()));
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            std::fs::remove_file(path)?;
            Ok(file)
        },
    )
}

fn write(mut file: File, over: &AtomicBool) -> io::Result<()> {
    let block = vec![0x5A; BLOCK_BYTES];
    let mut written = 0_u64;
    while !over.load(Ordering::Relaxed) {
        if written >= FILE_BYTES {
            file.seek(SeekFrom::Start(0))?;
            written = 0;
        }
        file.write_all(&block)?;
        file.sync_all()?;
        written += BLOCK_BYTES as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;
    use std::time::{Duration, Instant};

    #[test]
    fn it_works_until_its_pipe_ends_and_leaves_nothing() {
        let folder = Folder::new("load");
        let kinds = vec![LoadKind::Io, LoadKind::Cpu, LoadKind::Memory];
        let options = LoadOptions { kinds, folder: folder.path().to_owned() };
        let (reader, writer) = io::pipe().unwrap();
        let load = std::thread::spawn(move || run(&options, reader));
        std::thread::sleep(Duration::from_millis(100));
        assert!(!load.is_finished());
        drop(writer);
        let until = Instant::now() + Duration::from_secs(60);
        while !load.is_finished() {
            assert!(Instant::now() < until, "the load goes on");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(load.join().unwrap().unwrap(), 0);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_is_none_is_an_error_and_ends_what_had_begun() {
        let kinds = vec![LoadKind::Cpu, LoadKind::Io];
        let options = LoadOptions { kinds, folder: "/nowhere/at/all".into() };
        assert!(run(&options, io::empty()).is_err());
    }
}
