//! What the control socket can ask of the server.

use super::Server;
use super::peer::Stage;
use super::realtime;
use crate::control::{BusStatus, ClientStatus, DriveStatus, Reply, Request, Status};

const MILLISECOND_NS: u64 = 1_000_000;
/// Longest time of an injected fault, ms: an hour.
const FAULT_MAX_MS: u64 = 3_600_000;

impl Server {
    /// Does what was asked, at the time that the world has come to.
    pub(super) fn carry_out(&mut self, request: &Request) -> Reply {
        let result = match request {
            Request::Silence { drive, ms, deaf } => self.silence(drive, *ms, *deaf),
            Request::Blind { drive, ms } => self.blind(drive, *ms),
            Request::DropFrames { percent, ms, bus } => {
                self.drop_frames(*percent, *ms, bus.as_deref())
            }
            Request::Trip { drive, code } => self.trip(drive, *code),
            Request::Priority { fifo } => self.priority(*fifo),
            Request::Status {} => {
                let status = Some(self.status());
                return Reply { ok: true, t_ns: self.world.now_ns(), status, error: None };
            }
        };
        let ok = result.is_ok();
        Reply { ok, t_ns: self.world.now_ns(), error: result.err(), status: None }
    }

    fn silence(&mut self, drive: &str, ms: Option<u64>, deaf: bool) -> Result<(), String> {
        let for_ns = ms.map(checked_ns).transpose()?;
        if self.world.silence(drive, for_ns, deaf) { Ok(()) } else { Err(self.no_drive(drive)) }
    }

    fn blind(&mut self, drive: &str, ms: Option<u64>) -> Result<(), String> {
        let for_ns = ms.map(checked_ns).transpose()?;
        if self.world.blind(drive, for_ns) { Ok(()) } else { Err(self.no_drive(drive)) }
    }

    fn trip(&mut self, drive: &str, code: u16) -> Result<(), String> {
        if code == 0 {
            return Err("code 0 means no error; allowed: 1 to 65535".into());
        }
        if self.world.trip(drive, code) { Ok(()) } else { Err(self.no_drive(drive)) }
    }

    fn drop_frames(&mut self, percent: f64, ms: u64, bus: Option<&str>) -> Result<(), String> {
        if !(0.0..=100.0).contains(&percent) {
            return Err(format!("percent is {percent}; allowed: 0 to 100"));
        }
        let index = bus.map(|name| self.bus_named(name)).transpose()?;
        self.world.drop_frames(index, percent, checked_ns(ms)?);
        Ok(())
    }

    fn priority(&mut self, fifo: u8) -> Result<(), String> {
        if !(1..=99).contains(&fifo) {
            return Err(format!("fifo is {fifo}; allowed: 1 to 99"));
        }
        self.realtime = realtime::ask_fifo(fifo);
        let denied = || format!("SCHED_FIFO {fifo} is not granted; it wants CAP_SYS_NICE");
        self.realtime.then_some(()).ok_or_else(denied)
    }

    fn bus_named(&self, name: &str) -> Result<usize, String> {
        self.spec.buses.iter().position(|bus| bus.name == name).ok_or_else(|| {
            let known: Vec<_> = self.spec.buses.iter().map(|bus| bus.name.as_str()).collect();
            format!("no bus `{name}`; there are {}", known.join(", "))
        })
    }

    fn no_drive(&self, name: &str) -> String {
        let known: Vec<_> = self.spec.drives.iter().map(|drive| drive.name.as_str()).collect();
        format!("no drive `{name}`; there are {}", known.join(", "))
    }

    fn status(&self) -> Status {
        let bus_name = |index: usize| {
            self.spec.buses.get(index).map_or_else(String::new, |bus| bus.name.clone())
        };
        let buses = (0..self.spec.buses.len()).map(|index| {
            let counters = self.world.counters(index);
            BusStatus {
                name: bus_name(index),
                frames: counters.frames,
                destroyed: counters.destroyed,
                overflowed: counters.overflowed,
                bits: counters.bits,
                clients: self.clients(index),
            }
        });
        let drives = self.world.drives().map(|(spec, seen)| DriveStatus {
            name: spec.name.clone(),
            bus: bus_name(spec.bus),
            node: spec.node,
            power: seen.power.name().into(),
            nmt: seen.nmt as u8,
            statusword: seen.statusword,
            error_code: seen.error_code,
            position_rad: seen.position_rad,
            velocity_rad_s: seen.velocity_rad_s,
            at_rest: seen.at_rest,
        });
        Status {
            realtime: self.realtime,
            late_max_ns: self.late_max_ns,
            log_written: self.log.written(),
            log_lost: self.log.lost(),
            buses: buses.collect(),
            drives: drives.collect(),
        }
    }

    fn clients(&self, bus: usize) -> Vec<ClientStatus> {
        let on_bus = self.peers.iter().flatten().filter(|peer| peer.bus == bus);
        on_bus
            .filter_map(|peer| match &peer.stage {
                Stage::Joined { name, .. } => Some(ClientStatus {
                    name: name.to_string(),
                    pid: peer.pid,
                    dropped: peer.dropped,
                }),
                Stage::Waiting(_) => None,
            })
            .collect()
    }
}

fn checked_ns(ms: u64) -> Result<u64, String> {
    if ms > FAULT_MAX_MS {
        return Err(format!("ms is {ms}; allowed: 0 to {FAULT_MAX_MS}"));
    }
    Ok(ms * MILLISECOND_NS)
}
