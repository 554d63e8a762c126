//! Shared memory as a [`Link`]: the pages that mechos-rt hands over its socket.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use shm_protocol::records::{Description, Intent, Telemetry, Verdict};
use shm_protocol::{Client, LINK_SOCKET};

use crate::link::{Connect, Heart, Link, Returned};

/// Longest time for one handshake.
const HANDSHAKE_MAX: Duration = Duration::from_secs(2);

/// Connects to the socket in a runtime directory.
#[derive(Debug)]
pub struct Connector {
    socket: PathBuf,
    leave: Arc<AtomicBool>,
}

impl Connector {
    /// Connects to mechos-rt's socket in this runtime directory.
    pub fn new(runtime: &Path) -> Self {
        Self { socket: runtime.join(LINK_SOCKET), leave: Arc::default() }
    }

    /// Set, the present connection is closed at once, as if it had broken, and made again. For
    /// tests of what mechos-rt does about it.
    pub fn leave(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.leave)
    }
}

impl Connect for Connector {
    type Link = ShmLink;

    fn connect(&mut self) -> Result<ShmLink, String> {
        let client = Client::connect(&self.socket, HANDSHAKE_MAX);
        let client = client.map_err(|error| error.to_string())?;
        Ok(ShmLink { client, leave: self.leave() })
    }

    fn place(&self) -> String {
        self.socket.display().to_string()
    }
}

/// One connection.
pub struct ShmLink {
    client: Client,
    leave: Arc<AtomicBool>,
}

impl Heart for shm_protocol::Heart {
    fn beat(&mut self) {
        shm_protocol::Heart::beat(self);
    }
}

impl Link for ShmLink {
    fn description(&self) -> Description {
        self.client.description()
    }

    fn generation(&self) -> u32 {
        self.client.generation()
    }

    fn is_alive(&mut self) -> bool {
        // Pairs with the signal handler's store; nothing else is published with it.
        !self.leave.swap(false, Ordering::Relaxed) && self.client.is_alive()
    }

    fn telemetry(&mut self) -> Option<Telemetry> {
        self.client.telemetry()
    }

    fn poll_verdict(&mut self) -> Option<Verdict> {
        self.client.poll_verdict()
    }

    fn next_number(&mut self) -> u64 {
        self.client.next_number()
    }

    fn submit(&mut self, intent: &Intent) -> Result<(), Returned> {
        self.client.submit(intent).map_err(|_full| Returned)
    }

    fn stop(&mut self) {
        self.client.stop();
    }

    fn heart(&self) -> Box<dyn Heart> {
        Box::new(self.client.heart())
    }
}
