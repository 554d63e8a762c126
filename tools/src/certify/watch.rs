//! The observer as its parent sees it: a child whose records a thread takes in, so that its pipe is
//! never full.

use std::io::Read;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use super::record::{Kind, LEN, Record};

/// How long it may take until every bus is open.
const READY_MAX: Duration = Duration::from_secs(30);
/// Between two looks meanwhile.
const LOOK: Duration = Duration::from_millis(2);
/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// What has come and was not taken yet.
#[derive(Default)]
struct Inbox {
    records: Vec<Record>,
    is_ready: bool,
    has_ended: bool,
}

/// The observer.
pub struct Watch {
    child: Child,
    inbox: Arc<Mutex<Inbox>>,
    reader: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts it and waits until it listens on every bus.
    ///
    /// # Errors
    /// In words.
    pub fn start(robot: &Path, runtime: &Path) -> Result<Watch, String> {
        let failed = |error: std::io::Error| format!("the observer does not start: {error}");
        let own = std::env::current_exe().map_err(failed)?;
        let mut child = Command::new(own)
            .arg("certify-observer")
            .arg("--robot")
            .arg(robot)
            .arg("--runtime")
            .arg(runtime)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let inbox = Arc::new(Mutex::new(Inbox::default()));
        let reader = child.stdout.take().map(|out| {
            let inbox = Arc::clone(&inbox);
            std::thread::spawn(move || read(out, &inbox))
        });
        let watch = Watch { child, inbox, reader };
        let until = Instant::now() + READY_MAX;
        while !watch.with(|inbox| inbox.is_ready) {
            if Instant::now() >= until || watch.with(|inbox| inbox.has_ended) {
                return Err("the observer does not listen on every bus".to_owned());
            }
            sleep(LOOK);
        }
        Ok(watch)
    }

    /// What has come since the last call.
    pub fn take(&self) -> Vec<Record> {
        self.with(|inbox| std::mem::take(&mut inbox.records))
    }

    /// Whether it still observes.
    pub fn is_alive(&self) -> bool {
        !self.with(|inbox| inbox.has_ended)
    }

    fn with<T>(&self, look: impl FnOnce(&mut Inbox) -> T) -> T {
        look(&mut self.inbox.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

fn read(mut from: ChildStdout, inbox: &Mutex<Inbox>) {
    let mut bytes: Vec<u8> = Vec::with_capacity(CHUNK);
    let mut chunk = vec![0; CHUNK];
    while let Ok(len) = from.read(&mut chunk) {
        if len == 0 {
            break;
        }
        bytes.extend_from_slice(chunk.get(..len).unwrap_or_default());
        let (records, rest) = bytes.as_chunks::<LEN>();
        let decoded: Vec<Record> = records.iter().filter_map(Record::decode).collect();
        let rest = rest.to_vec();
        let mut inbox = inbox.lock().unwrap_or_else(PoisonError::into_inner);
        inbox.is_ready |= decoded.iter().any(|record| record.kind == Kind::Ready);
        inbox.records.extend(decoded);
        drop(inbox);
        bytes = rest;
    }
    inbox.lock().unwrap_or_else(PoisonError::into_inner).has_ended = true;
}
