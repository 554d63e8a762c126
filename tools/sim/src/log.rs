//! The frame log: one JSON line a frame, written by a thread of its own, so that a slow disk never
//! delays the bus. The same thread prints what the bus thread has to say.
//!
//! A line: `{"recv_ns":1,"wire_ns":2,"bus":"can0","pid":3,"sender":"rt.can0","id":240,"data":"0200"}`;
//! times are CLOCK_MONOTONIC. A frame with a 29-bit identifier has `"extended":true` besides, a
//! remote frame `"remote":true`.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use hal::frame::FrameKind;
use rtrb::{Consumer, Producer, RingBuffer};

use crate::world::Delivery;

/// Frames that may wait to be written: more than two seconds of two full buses.
const WAITING_MAX: usize = 1 << 15;
/// Messages that may wait to be printed.
const NOTICES_MAX: usize = 64;
/// The log is at most this old on disk.
const FLUSH: Duration = Duration::from_millis(20);

/// Counters of the log.
#[derive(Default)]
struct Counters {
    written: AtomicU64,
    lost: AtomicU64,
}

/// The bus thread's end. Dropping it writes all that waits and ends the thread.
pub struct Log {
    frames: Option<Producer<Delivery>>,
    notices: Option<SyncSender<String>>,
    counters: Arc<Counters>,
    thread: Option<JoinHandle<()>>,
}

impl Log {
    /// Starts the thread. `buses` are the names for the lines; without `path` no frame is recorded.
    ///
    /// # Errors
    /// The file cannot be created, or no thread can be started.
    pub fn start(path: Option<&Path>, buses: Vec<String>) -> io::Result<Self> {
        let file = path.map(create).transpose()?;
        let (notices, messages) = sync_channel(NOTICES_MAX);
        let counters = Arc::new(Counters::default());
        let (frames, sink) = match file {
            None => (None, None),
            Some(file) => {
                let (producer, consumer) = RingBuffer::new(WAITING_MAX);
                let out = BufWriter::with_capacity(1 << 16, file);
                let counters = Arc::clone(&counters);
                (Some(producer), Some(Writer { consumer, out, buses, counters, failed: false }))
            }
        };
        let thread = std::thread::Builder::new()
            .name("sim-log".into())
            .spawn(move || write_all(&messages, sink))?;
        Ok(Self { frames, notices: Some(notices), counters, thread: Some(thread) })
    }

    /// Records a frame. Never waits; what does not fit is counted.
    pub fn record(&mut self, delivery: &Delivery) {
        if let Some(frames) = &mut self.frames
            && frames.push(*delivery).is_err()
        {
            self.counters.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Prints a message on standard error. Never waits; in a flood messages are left out.
    pub fn say(&self, message: String) {
        if let Some(notices) = &self.notices {
            let _ = notices.try_send(message);
        }
    }

    /// Lines written.
    pub fn written(&self) -> u64 {
        self.counters.written.load(Ordering::Relaxed)
    }

    /// Frames that could not be recorded.
    pub fn lost(&self) -> u64 {
        self.counters.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.notices = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

struct Writer {
    consumer: Consumer<Delivery>,
    out: BufWriter<File>,
    buses: Vec<String>,
    counters: Arc<Counters>,
    failed: bool,
}

impl Writer {
    fn drain(&mut self) {
        let mut lines = 0;
        while let Ok(delivery) = self.consumer.pop() {
            let bus = self.buses.get(delivery.bus).map_or("", String::as_str);
            if self.failed || line(&mut self.out, bus, &delivery).is_err() {
                self.fail();
            } else {
                lines += 1;
            }
        }
        if !self.failed && lines > 0 && self.out.flush().is_err() {
            self.fail();
        }
        self.counters.written.fetch_add(lines, Ordering::Relaxed);
    }

    fn fail(&mut self) {
        if !std::mem::replace(&mut self.failed, true) {
            eprintln!(
                "mechos-sim: the frame log cannot be written any more; frames are not recorded"
            );
        }
        self.counters.lost.fetch_add(1, Ordering::Relaxed);
    }
}

fn write_all(messages: &Receiver<String>, mut sink: Option<Writer>) {
    loop {
        let ended = match messages.recv_timeout(FLUSH) {
            Ok(message) => {
                eprintln!("mechos-sim: {message}");
                false
            }
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => true,
        };
        if let Some(writer) = &mut sink {
            writer.drain();
        }
        if ended {
            return;
        }
    }
}

/// Writes one line.
///
/// # Errors
/// Those of `out`.
pub fn line(out: &mut impl Write, bus: &str, delivery: &Delivery) -> io::Result<()> {
    let Delivery { recv_ns, wire_ns, sender, frame, .. } = delivery;
    let (bus, name) = (serde_json::to_string(bus)?, serde_json::to_string(sender.name.as_str())?);
    let (pid, id) = (sender.pid, frame.id());
    write!(out, "{{\"recv_ns\":{recv_ns},\"wire_ns\":{wire_ns},\"bus\":{bus},\"pid\":{pid},")?;
    write!(out, "\"sender\":{name},\"id\":{id},\"data\":\"")?;
    if frame.kind() != FrameKind::Remote {
        for byte in frame.data() {
            write!(out, "{byte:02x}")?;
        }
    }
    out.write_all(b"\"")?;
    if frame.is_extended() {
        out.write_all(b",\"extended\":true")?;
    }
    if frame.kind() == FrameKind::Remote {
        out.write_all(b",\"remote\":true")?;
    }
    out.write_all(b"}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::arbiter::{Arbiter, Order};
    use crate::world::{Identity, Name};
    use hal::frame::Frame;

    fn delivery(frame: Frame) -> Delivery {
        let station = Arbiter::new(1, 0).connect(Order::Fifo).unwrap();
        let sender = Identity { name: Name::from("rt.deadline").unwrap(), pid: 42 };
        Delivery { bus: 0, station, sender, frame, recv_ns: 5, wire_ns: 99 }
    }

    fn text(frame: Frame) -> String {
        let mut out = Vec::new();
        line(&mut out, "can0", &delivery(frame)).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_is_json_with_the_promised_keys() {
        assert_eq!(
            text(Frame::new(0x0f0, &[2, 0]).unwrap()),
            "{\"recv_ns\":5,\"wire_ns\":99,\"bus\":\"can0\",\"pid\":42,\
             \"sender\":\"rt.deadline\",\"id\":240,\"data\":\"0200\"}\n"
        );
        let extended = text(Frame::extended(0x12345, &[]).unwrap());
        let value: serde_json::Value = serde_json::from_str(&extended).unwrap();
        assert_eq!((&value["extended"], &value["data"]), (&true.into(), &"".into()));
    }

    #[test]
    fn dropping_the_log_writes_all_that_waits() {
        let path = std::env::temp_dir().join(format!("mechos-sim-log-{}", std::process::id()));
        let mut log = Log::start(Some(&path), vec!["can0".into()]).unwrap();
        for _ in 0..1000 {
            log.record(&delivery(Frame::new(1, &[1]).unwrap()));
        }
        drop(log);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(text.lines().count(), 1000);
    }
}
