//! Identifiers: nobody shares one, and the stop is below everything cyclic.

use hal::network::DRIVES_MAX;
use toml::Spanned;

use crate::error::Objection;
use crate::file;
use crate::rules::whole;
use crate::spec::{AxisSpec, BusSpec};

/// Identifiers that all buses share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identifiers {
    pub stop_cob_id: u16,
    pub sync_cob_id: u16,
    pub host_node: u8,
}

/// The stop below SYNC, both in the range of EMCY, where only the EMCY of nodes 70h and 78h, the
/// highest but few, is given up for them.
const DEFAULTS: Identifiers =
    Identifiers { stop_cob_id: 0x0F0, sync_cob_id: 0x0F8, host_node: 0x7F };

/// EMCY of node `n` is this plus `n`.
const EMCY: u16 = 0x080;

/// The file's identifiers, or the defaults.
pub(crate) fn identifiers(raw: Option<&file::Canopen>) -> Result<Identifiers, Objection> {
    let Some(raw) = raw else { return Ok(DEFAULTS) };
    let cob_id = |key, raw: &Option<Spanned<i64>>, otherwise| {
        raw.as_ref().map_or(Ok(otherwise), |raw| whole(key, raw))
    };
    let host_node = raw.host_node.as_ref();
    let ids = Identifiers {
        stop_cob_id: cob_id("stop_cob_id", &raw.stop_cob_id, DEFAULTS.stop_cob_id)?,
        sync_cob_id: cob_id("sync_cob_id", &raw.sync_cob_id, DEFAULTS.sync_cob_id)?,
        host_node: host_node.map_or(Ok(DEFAULTS.host_node), |raw| whole("host_node", raw))?,
    };
    let written = raw.stop_cob_id.as_ref().or(raw.sync_cob_id.as_ref());
    match written {
        Some(written) if ids.stop_cob_id >= ids.sync_cob_id => {
            let (stop, sync) = (ids.stop_cob_id, ids.sync_cob_id);
            let found = format!("{stop:#05x} for the stop and {sync:#05x} for SYNC");
            let allowed = "a stop COB-ID below every cyclic one: SYNC, PDOs, heartbeats";
            let mend = "The lower identifier goes first on the wire: take 0x0F0 and 0x0F8.";
            Err(Objection::at(written.span(), found, allowed).mend(mend))
        }
        _ => Ok(ids),
    }
}

/// Node ids: no more than a bus' master serves, unique on their bus, not the host's, and no EMCY on the stop's or SYNC's COB-ID.
pub(crate) fn check_nodes(
    raw: &Spanned<Vec<Spanned<file::Axis>>>,
    axes: &[AxisSpec],
    buses: &[BusSpec],
    ids: &Identifiers,
) -> Result<(), Objection> {
    for (index, bus) in buses.iter().enumerate() {
        let mut over = axes.iter().zip(raw.get_ref()).filter(|(axis, _)| axis.bus == index);
        if let Some((_, table)) = over.nth(DRIVES_MAX) {
            let found = format!("a drive more on bus `{}`", bus.name);
            let allowed = format!("at most {DRIVES_MAX} drives on a bus");
            let span = table.get_ref().bus.span();
            return Err(Objection::at(span, found, allowed).mend("Give it another bus."));
        }
    }
    for (index, (axis, table)) in axes.iter().zip(raw.get_ref()).enumerate() {
        let node = axis.node;
        let object = |found: String, allowed: &str| {
            Err(Objection::at(table.get_ref().node.span(), found, allowed))
        };
        let mut earlier = axes.iter().take(index);
        if let Some(other) = earlier.find(|other| (other.bus, other.node) == (axis.bus, node)) {
            let bus = buses.get(axis.bus).map_or("", |bus| bus.name.as_str());
            let found = format!("{node}, as `{}` on the same bus `{bus}`", other.name);
            return object(found, "a node id that no other drive of the bus has");
        }
        if node == ids.host_node {
            let found = format!("{node}, the host's own node id");
            return object(found, "1 to 127 but canopen.host_node");
        }
        let emcy = EMCY + u16::from(node);
        for (taken, what) in [(ids.stop_cob_id, "stop"), (ids.sync_cob_id, "SYNC")] {
            if emcy == taken {
                let found = format!("{node}, whose EMCY ({emcy:#05x}) is the COB-ID of the {what}");
                return object(found, "another node id, or another COB-ID under [canopen]");
            }
        }
    }
    Ok(())
}
