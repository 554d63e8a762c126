//! Shared memory as a [`Link`]: the pages that mechos-rt hands over its socket.

use std::path::{Path, PathBuf};
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
}

impl Connector {
    /// Connects to mechos-rt's socket in this runtime directory.
    pub fn new(runtime: &Path) -> Self {
        Self { socket: runtime.join(LINK_SOCKET) }
    }
}

impl Connect for Connector {
    type Link = Client;

    fn connect(&mut self) -> Result<Client, String> {
        Client::connect(&self.socket, HANDSHAKE_MAX).map_err(|error| error.to_string())
    }

    fn place(&self) -> String {
        self.socket.display().to_string()
    }
}

impl Heart for shm_protocol::Heart {
    fn beat(&mut self) {
        shm_protocol::Heart::beat(self);
    }
}

impl Link for Client {
    fn description(&self) -> Description {
        Client::description(self)
    }

    fn generation(&self) -> u32 {
        Client::generation(self)
    }

    fn is_alive(&mut self) -> bool {
        Client::is_alive(self)
    }

    fn telemetry(&mut self) -> Option<Telemetry> {
        Client::telemetry(self)
    }

    fn poll_verdict(&mut self) -> Option<Verdict> {
        Client::poll_verdict(self)
    }

    fn next_number(&mut self) -> u64 {
        Client::next_number(self)
    }

    fn submit(&mut self, intent: &Intent) -> Result<(), Returned> {
        Client::submit(self, intent).map_err(|_full| Returned)
    }

    fn stop(&mut self) {
        Client::stop(self);
    }

    fn heart(&self) -> Box<dyn Heart> {
        Box::new(Client::heart(self))
    }
}
