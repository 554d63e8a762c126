//! Buses and axes, each by itself and by name.

use std::ops::Range;

use mechos_kernel::config::AxisLimits;
use shm_protocol::records::AXES_MAX;
use toml::Spanned;

use crate::error::Objection;
use crate::file::{self, BusKindWord};
use crate::rules::{allowed, milliseconds, number, whole};
use crate::spec::{AxisSpec, BusKind, BusLoad, BusSpec, DriveSpec, SimSpec};

/// Longest name that the description page has room for, bytes.
pub(crate) const NAME_MAX: usize = 24;
/// Longest name of a bus: socket, thread and client names carry it.
const BUS_NAME_MAX: usize = 16;
/// Longest name of an interface (IFNAMSIZ less its zero).
const INTERFACE_MAX: usize = 15;
/// CiA 301's bit rates, and 800 kbit/s.
const BITRATES: [u32; 8] = [10_000, 20_000, 50_000, 125_000, 250_000, 500_000, 800_000, 1_000_000];

type Raw<T> = Spanned<Vec<Spanned<T>>>;

/// A name of 1 to `max` characters that is safe in paths and in logs.
pub(crate) fn name(raw: &Spanned<String>, max: usize) -> Result<String, Objection> {
    let text = raw.get_ref();
    let safe = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    if !text.is_empty() && text.len() <= max && text.bytes().all(safe) {
        return Ok(text.clone());
    }
    let allowed = format!("1 to {max} characters of a-z, 0-9, - and _");
    Err(Objection::at(raw.span(), format!("{text:?}"), allowed))
}

/// The buses, their load not yet known.
pub(crate) fn buses(raw: &Raw<file::Bus>) -> Result<Vec<BusSpec>, Objection> {
    if raw.get_ref().is_empty() {
        return Err(Objection::at(raw.span(), "no bus", "at least one table [[buses]]"));
    }
    let mut buses: Vec<BusSpec> = Vec::new();
    for table in raw.get_ref() {
        let table = table.get_ref();
        let bus = BusSpec {
            name: name(&table.name, BUS_NAME_MAX)?,
            kind: bus_kind(table)?,
            bitrate: bitrate(&table.bitrate)?,
            load: BusLoad::default(),
        };
        unique(&table.name, buses.iter().map(|other| other.name.as_str()), "bus")?;
        if let (Some(interface), true) = (&table.interface, bus.kind != BusKind::Sim)
            && buses.iter().any(|other| other.kind == bus.kind)
        {
            let found = format!("{:?} a second time", interface.get_ref());
            return Err(Objection::at(interface.span(), found, "an interface of its own"));
        }
        buses.push(bus);
    }
    Ok(buses)
}

fn bus_kind(table: &file::Bus) -> Result<BusKind, Objection> {
    match (*table.kind.get_ref(), &table.interface) {
        (BusKindWord::Sim, None) => Ok(BusKind::Sim),
        (BusKindWord::Sim, Some(interface)) => {
            let found = "an interface for a simulated bus";
            Err(Objection::at(interface.span(), found, "none: it is a socket of mechos-sim"))
        }
        (BusKindWord::SocketCan, None) => {
            let allowed = allowed("interface").unwrap_or_default();
            Err(Objection::at(table.kind.span(), "no interface for a real bus", allowed))
        }
        (BusKindWord::SocketCan, Some(interface)) => {
            Ok(BusKind::SocketCan { interface: name(interface, INTERFACE_MAX)? })
        }
    }
}

fn bitrate(raw: &Spanned<i64>) -> Result<u32, Objection> {
    let bitrate = whole("bitrate", raw)?;
    if BITRATES.contains(&bitrate) {
        return Ok(bitrate);
    }
    let rates: Vec<_> = BITRATES.iter().map(u32::to_string).collect();
    Err(Objection::at(raw.span(), bitrate, format!("one of {} bit/s", rates.join(", "))))
}

fn unique<'a>(
    raw: &Spanned<String>,
    mut others: impl Iterator<Item = &'a str>,
    what: &str,
) -> Result<(), Objection> {
    if others.all(|other| other != raw.get_ref()) {
        return Ok(());
    }
    let found = format!("{:?} a second time", raw.get_ref());
    Err(Objection::at(raw.span(), found, format!("a name that no other {what} has")))
}

/// The axes; `hazard_ns` is for those that name no budget of their own.
pub(crate) fn axes(
    raw: &Raw<file::Axis>,
    buses: &[BusSpec],
    hazard_ns: u64,
) -> Result<Vec<AxisSpec>, Objection> {
    let count = raw.get_ref().len();
    if count == 0 || count > AXES_MAX {
        let found = format!("{count} axes");
        return Err(Objection::at(raw.span(), found, format!("1 to {AXES_MAX} tables [[axes]]")));
    }
    let mut axes: Vec<AxisSpec> = Vec::with_capacity(count);
    for table in raw.get_ref() {
        let axis = axis(table.get_ref(), buses, hazard_ns)?;
        let others = axes.iter().map(|other| other.name.as_str());
        unique(&table.get_ref().name, others, "axis")?;
        axes.push(axis);
    }
    Ok(axes)
}

fn axis(table: &file::Axis, buses: &[BusSpec], hazard_ns: u64) -> Result<AxisSpec, Objection> {
    let limits = limits(&table.limits)?;
    let drive = drive(&table.drive)?;
    scale_fits(table, &limits, &drive)?;
    let hazard = table.hazard_ms.as_ref().map(|raw| milliseconds("hazard_ms", raw)).transpose()?;
    Ok(AxisSpec {
        name: name(&table.name, NAME_MAX)?,
        bus: bus_of(&table.bus, buses)?,
        node: whole("node", &table.node)?,
        limits,
        home_rad: inside("home_rad", &table.home_rad, &limits)?,
        hazard_ns: hazard.unwrap_or(hazard_ns),
        after_halt: table.after_halt,
        drive,
        sim: sim(&table.sim, &limits)?,
    })
}

fn bus_of(raw: &Spanned<String>, buses: &[BusSpec]) -> Result<usize, Objection> {
    let wanted = raw.get_ref();
    buses.iter().position(|bus| bus.name == *wanted).ok_or_else(|| {
        let names: Vec<_> = buses.iter().map(|bus| format!("`{}`", bus.name)).collect();
        Objection::at(raw.span(), format!("{wanted:?}"), format!("a bus: {}", names.join(", ")))
    })
}

fn limits(raw: &file::Limits) -> Result<AxisLimits, Objection> {
    let (velocity, jerk) = (&raw.velocity_max_rad_s, &raw.jerk_max_rad_s3);
    let (acceleration, quick) = (&raw.acceleration_max_rad_s2, &raw.quick_stop_deceleration_rad_s2);
    let limits = AxisLimits {
        position_min_rad: number("position_min_rad", &raw.position_min_rad)?,
        position_max_rad: number("position_max_rad", &raw.position_max_rad)?,
        velocity_max_rad_s: number("velocity_max_rad_s", velocity)?,
        acceleration_max_rad_s2: number("acceleration_max_rad_s2", acceleration)?,
        jerk_max_rad_s3: number("jerk_max_rad_s3", jerk)?,
        effort_max_nm: number("effort_max_nm", &raw.effort_max_nm)?,
        following_error_max_rad: number("following_error_max_rad", &raw.following_error_max_rad)?,
        quick_stop_deceleration_rad_s2: number("quick_stop_deceleration_rad_s2", quick)?,
    };
    if limits.position_min_rad >= limits.position_max_rad {
        let found = format!("{}, not above {}", limits.position_max_rad, limits.position_min_rad);
        let allowed = "a position above position_min_rad";
        return Err(Objection::at(raw.position_max_rad.span(), found, allowed));
    }
    Ok(limits)
}

fn inside(key: &str, raw: &Spanned<f64>, limits: &AxisLimits) -> Result<f64, Objection> {
    let position = number(key, raw)?;
    let (low, high) = (limits.position_min_rad, limits.position_max_rad);
    if (low..=high).contains(&position) {
        return Ok(position);
    }
    Err(Objection::at(raw.span(), position, format!("{low} to {high} rad, the axis' own limits")))
}

fn drive(raw: &file::Drive) -> Result<DriveSpec, Objection> {
    const TORQUE_PDO_EVERY: u8 = 25;
    let every = raw.torque_pdo_every.as_ref();
    Ok(DriveSpec {
        vendor_id: whole("vendor_id", &raw.vendor_id)?,
        product_code: whole("product_code", &raw.product_code)?,
        counts_per_rad: number("counts_per_rad", &raw.counts_per_rad)?,
        zero_offset_rad: number("zero_offset_rad", &raw.zero_offset_rad)?,
        effort_per_mille_nm: number("effort_per_mille_nm", &raw.effort_per_mille_nm)?,
        torque_pdo_every: every
            .map_or(Ok(TORQUE_PDO_EVERY), |every| whole("torque_pdo_every", every))?,
    })
}

fn sim(raw: &file::Sim, limits: &AxisLimits) -> Result<SimSpec, Objection> {
    let viscous = &raw.viscous_friction_nm_s_rad;
    Ok(SimSpec {
        inertia_kg_m2: number("inertia_kg_m2", &raw.inertia_kg_m2)?,
        viscous_friction_nm_s_rad: number("viscous_friction_nm_s_rad", viscous)?,
        coulomb_friction_nm: number("coulomb_friction_nm", &raw.coulomb_friction_nm)?,
        torque_max_nm: number("torque_max_nm", &raw.torque_max_nm)?,
        start_rad: inside("start_rad", &raw.start_rad, limits)?,
    })
}

/// Whether every limit can be written into the drive's objects in its own units.
fn scale_fits(table: &file::Axis, limits: &AxisLimits, drive: &DriveSpec) -> Result<(), Objection> {
    let counts = |rad: f64| rad * drive.counts_per_rad;
    let counts_span = || table.drive.counts_per_rad.span();
    let effort_span = || table.drive.effort_per_mille_nm.span();
    let offset = drive.zero_offset_rad;
    let (i32_max, u32_max) = (f64::from(i32::MAX), f64::from(u32::MAX));
    let reach = (limits.position_min_rad - offset).abs().max(limits.position_max_rad - offset);
    let per_mille = limits.effort_max_nm / drive.effort_per_mille_nm;
    let rows: [(&str, f64, f64, f64, Range<usize>); 6] = [
        ("607Dh, position limits", counts(reach), 0.0, i32_max, counts_span()),
        ("6080h, velocity limit", counts(limits.velocity_max_rad_s), 1.0, u32_max, counts_span()),
        (
            "60C5h, acceleration",
            counts(limits.acceleration_max_rad_s2),
            1.0,
            u32_max,
            counts_span(),
        ),
        (
            "6085h, quick-stop deceleration",
            counts(limits.quick_stop_deceleration_rad_s2),
            1.0,
            u32_max,
            counts_span(),
        ),
        (
            "6065h, following error",
            counts(limits.following_error_max_rad),
            1.0,
            u32_max,
            counts_span(),
        ),
        ("6072h, torque limit in per mille", per_mille, 1.0, f64::from(i16::MAX), effort_span()),
    ];
    for (object, value, low, high, span) in rows {
        if !(low..=high).contains(&value.abs()) {
            let found = format!("a scale that makes {value:.1} of {object}");
            let allowed = format!("{low} to {high} in that object");
            let mend = "Check the scale against the limits and the drive's manual.";
            return Err(Objection::at(span, found, allowed).mend(mend));
        }
    }
    Ok(())
}
