//! The file's shape, key for key, before anything is checked but types and names.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::budgets::Profile;
use crate::rules::{ExcessWord, ReactionWord};
use crate::spec::AfterHalt;

type Text = Spanned<String>;
type Number = Spanned<f64>;
type Whole = Spanned<i64>;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub name: Text,
    pub rate_hz: Whole,
    pub profile: Option<Spanned<Profile>>,
    pub standstill_rad_s: Number,
    #[serde(default)]
    pub require_certificate: bool,
    pub certificate_trials_min: Option<Whole>,
    pub budgets: Option<BTreeMap<String, Number>>,
    pub canopen: Option<Canopen>,
    pub threads: ThreadsTable,
    pub cognition: Cognition,
    pub gate: Gate,
    pub reactions: ReactionsTable,
    pub buses: Spanned<Vec<Spanned<Bus>>>,
    pub axes: Spanned<Vec<Spanned<Axis>>>,
}

/// Identifiers that all buses share.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Canopen {
    pub host_node: Option<Whole>,
    pub stop_cob_id: Option<Whole>,
    pub sync_cob_id: Option<Whole>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ThreadsTable {
    pub control: Thread,
    pub bus: Thread,
    pub deadline: Thread,
    pub guardian: Thread,
    pub housekeeping_cpu: Whole,
    #[serde(default)]
    pub shared_cpu: bool,
    pub wake: Option<Spanned<WakeWord>>,
    pub spin_margin_us: Option<Whole>,
}

/// How the control thread waits for its next tick.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WakeWord {
    Sleep,
    Spin,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Thread {
    pub priority: Whole,
    pub cpu: Whole,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cognition {
    pub uid: Option<Whole>,
    pub agents: Vec<Whole>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gate {
    pub intents_per_second_max: Whole,
    pub intent_age_max_ms: Number,
    pub lease_max_ms: Number,
    #[serde(default)]
    pub excess: ExcessTable,
}

/// What each rule does with an excess; refusing where nothing is written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ExcessTable {
    pub position: ExcessWord,
    pub velocity: ExcessWord,
    pub acceleration: ExcessWord,
    pub jerk: ExcessWord,
    pub effort: ExcessWord,
    pub stoppable: ExcessWord,
}

/// The keys of `[reactions]`.
pub(crate) const REACTION_KEYS: [&str; 7] = [
    "cognition_lost",
    "deadline_missed",
    "process_lost",
    "feedback_stale",
    "drive_fault",
    "limit_passed",
    "real_time_lost",
];

/// No reaction has a default: who writes the file decides.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReactionsTable {
    pub cognition_lost: ReactionWord,
    pub deadline_missed: Spanned<ReactionWord>,
    pub process_lost: ReactionWord,
    pub feedback_stale: ReactionWord,
    pub drive_fault: ReactionWord,
    pub limit_passed: ReactionWord,
    pub real_time_lost: ReactionWord,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bus {
    pub name: Text,
    pub kind: Spanned<BusKindWord>,
    pub interface: Option<Text>,
    pub bitrate: Whole,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BusKindWord {
    Sim,
    SocketCan,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Axis {
    pub name: Text,
    pub bus: Text,
    pub node: Whole,
    pub home_rad: Number,
    pub hazard_ms: Option<Number>,
    pub after_halt: AfterHalt,
    pub limits: Limits,
    pub drive: Drive,
    pub sim: Sim,
}

/// No limit has a default.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    pub position_min_rad: Number,
    pub position_max_rad: Number,
    pub velocity_max_rad_s: Number,
    pub acceleration_max_rad_s2: Number,
    pub jerk_max_rad_s3: Number,
    pub effort_max_nm: Number,
    pub following_error_max_rad: Number,
    pub quick_stop_deceleration_rad_s2: Number,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Drive {
    pub vendor_id: Whole,
    pub product_code: Whole,
    pub counts_per_rad: Number,
    pub zero_offset_rad: Number,
    pub effort_per_mille_nm: Number,
    pub torque_pdo_every: Option<Whole>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sim {
    pub inertia_kg_m2: Number,
    pub viscous_friction_nm_s_rad: Number,
    pub coulomb_friction_nm: Number,
    pub torque_max_nm: Number,
    pub start_rad: Number,
}
