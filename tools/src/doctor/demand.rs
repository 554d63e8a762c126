//! What a robot file asks of its host, as far as the doctor can look at it.

use std::path::Path;

use mechos_robot::{BusKind, Profile, Robot, RobotError, Threads, Wake};

use super::finding::Severity;
use super::host::Cpus;

/// What is asked of the host.
#[derive(Clone, Debug)]
pub struct Demand {
    /// The robot's name.
    pub robot: String,
    /// Where its file is, for mends in it; `None`: the built-in one.
    pub file: Option<String>,
    /// A lack of real time is a failure: a real bus, the profile `strict`, or no robot file given.
    pub is_strict: bool,
    /// Priorities and CPUs.
    pub threads: Threads,
    /// The most of its CPU that the control thread may take: its budget, and spinning before it.
    pub busy_percent_max: u64,
    /// The kernel's CAN interfaces that it drives.
    pub buses: Vec<CanBus>,
}

/// A bus that a CAN interface of the kernel carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanBus {
    /// Its name in the robot file.
    pub name: String,
    /// The interface.
    pub interface: String,
    /// Bits per second.
    pub bitrate: u32,
    /// Drives on it.
    pub drives: usize,
}

impl Demand {
    /// Of a robot file; without one of the built-in arm6, judged as if its buses were real, because
    /// that is what the question means.
    ///
    /// # Errors
    /// [`RobotError`].
    pub fn of(file: Option<&Path>) -> Result<Demand, RobotError> {
        match file {
            Some(path) => {
                let file = Some(path.display().to_string());
                Ok(Demand { file, ..Demand::from_robot(&Robot::load(path)?) })
            }
            None => {
                let robot = Robot::parse(crate::up::ARM6, "arm6.toml")?;
                Ok(Demand { is_strict: true, ..Demand::from_robot(&robot) })
            }
        }
    }

    /// Of a checked robot.
    pub fn from_robot(robot: &Robot) -> Demand {
        let buses = robot.buses.iter().enumerate().filter_map(|(index, bus)| match &bus.kind {
            BusKind::Sim => None,
            BusKind::SocketCan { interface } => Some(CanBus {
                name: bus.name.clone(),
                interface: interface.clone(),
                bitrate: bus.bitrate,
                drives: robot.axes_of_bus(index).count(),
            }),
        });
        Demand {
            robot: robot.name.clone(),
            file: None,
            is_strict: robot.profile == Profile::Strict || !robot.is_simulated(),
            threads: robot.threads,
            busy_percent_max: busy_percent_max(robot),
            buses: buses.collect(),
        }
    }

    /// How bad it is that the host lacks what real time stands on.
    pub fn lack(&self) -> Severity {
        if self.is_strict { Severity::Failure } else { Severity::Warning }
    }

    /// How bad it is that the host disturbs real time now and then.
    pub fn disturbance(&self) -> Severity {
        if self.is_strict { Severity::Warning } else { Severity::Note }
    }

    /// The CPUs on which setpoints are made and sent: to be kept free of all else.
    pub fn cyclic_cpus(&self) -> Cpus {
        [self.threads.control.cpu, self.threads.bus.cpu].into_iter().collect()
    }

    /// Every CPU that the robot file names.
    pub fn all_cpus(&self) -> Cpus {
        let Threads { control, bus, deadline, guardian, housekeeping_cpu, .. } = self.threads;
        [control.cpu, bus.cpu, deadline.cpu, guardian.cpu, housekeeping_cpu].into_iter().collect()
    }

    /// The highest SCHED_FIFO priority that is asked for.
    pub fn priority_max(&self) -> u8 {
        let Threads { control, bus, deadline, guardian, .. } = self.threads;
        control.priority.max(bus.priority).max(deadline.priority).max(guardian.priority)
    }

    /// Priority of a CAN interrupt's thread: above the bus threads that wait for its frames, below
    /// the guardian.
    pub fn interrupt_priority(&self) -> u8 {
        let Threads { bus, guardian, .. } = self.threads;
        85.min(guardian.priority.saturating_sub(1)).max(bus.priority)
    }

    /// The file's name in a sentence.
    pub fn file_words(&self) -> String {
        self.file.clone().unwrap_or_else(|| "the robot file".to_owned())
    }
}

fn busy_percent_max(robot: &Robot) -> u64 {
    let spin_ns = match robot.threads.wake {
        Wake::Sleep => 0,
        Wake::Spin { margin_ns, .. } => margin_ns,
    };
    let busy_ns = spin_ns.saturating_add(robot.budgets.execution_ns);
    busy_ns.saturating_mul(u64::from(robot.rate_hz)) / 10_000_000
}
