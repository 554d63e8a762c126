/* The planner's link to mechos-rt for C11: what lies where on the pages, what a record holds, and the
 * numbers that mean something. The README of this crate says how they are used: handshake, seals,
 * orderings, who may write what. A test compiles this file and holds every number of it to the pages.
 *
 * Little-endian hosts only: there a record is a struct. Fill or read a private copy of it, and copy that
 * to or from the page word by word with relaxed atomics. No pointer into a page but to mechos_word.
 */
#ifndef MECHOS_LINK_H
#define MECHOS_LINK_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "records are little-endian");

/* --- Pages ------------------------------------------------------------------------------------- */

#define MECHOS_MAGIC UINT64_C(0x0100534f4843454d) /* "MECHOS\0\1" */
#define MECHOS_VERSION UINT64_C(1)
#define MECHOS_LAYOUT_HASH UINT64_C(0x2c4f236162db3357)

/* Record i of a ring, value n of a board lie in slot (91 * i) % slots; a slot is stride words. */
#define MECHOS_SLOT_STEP 91
/* Words of a slot before its record: of a ring, number and checksum; of board and lossy ring, stamp. */
#define MECHOS_SLOT_HEAD 1
#define MECHOS_INTENT_SLOTS 64
#define MECHOS_INTENT_STRIDE 128
#define MECHOS_VERDICT_SLOTS 256
#define MECHOS_VERDICT_STRIDE 16
#define MECHOS_EVENT_SLOTS 256
#define MECHOS_EVENT_STRIDE 16
#define MECHOS_TELEMETRY_SLOTS 8
#define MECHOS_TELEMETRY_STRIDE 208
#define MECHOS_BEAT_SLOTS 8
#define MECHOS_BEAT_STRIDE 16

typedef _Atomic uint64_t mechos_word;

/* One word, and the room that keeps its neighbours away. */
struct mechos_line {
    mechos_word word;
    mechos_word room[15];
};

struct mechos_header {
    mechos_word magic;
    mechos_word version;
    mechos_word layout;
    mechos_word generation;
    mechos_word kind; /* enum mechos_page */
    mechos_word room[11];
};

/* The planner writes, mechos-rt reads. */
struct mechos_intent_page {
    struct mechos_header header;
    struct mechos_line heartbeat;     /* counts up */
    struct mechos_line stops;         /* any change latches */
    struct mechos_line estops;        /* any change latches */
    struct mechos_line submitted;     /* counted before the record is sent */
    struct mechos_line returned;      /* of those, given back by a full ring */
    struct mechos_line verdicts_read; /* stored with release, after the copy */
    mechos_word intents[MECHOS_INTENT_SLOTS * MECHOS_INTENT_STRIDE];
};

/* mechos-rt writes, the planner reads: its mapping is read-only. */
struct mechos_telemetry_page {
    struct mechos_header header;
    struct mechos_line intents_read;
    struct mechos_line newest;         /* number of the newest telemetry, 0: none */
    struct mechos_line events_written; /* number of the newest event, 0: none */
    mechos_word description[336];
    mechos_word telemetry[MECHOS_TELEMETRY_SLOTS * MECHOS_TELEMETRY_STRIDE];
    mechos_word verdicts[MECHOS_VERDICT_SLOTS * MECHOS_VERDICT_STRIDE];
    mechos_word events[MECHOS_EVENT_SLOTS * MECHOS_EVENT_STRIDE];
};

/* mechos-rt writes, the guardian reads. */
struct mechos_heartbeat_page {
    struct mechos_header header;
    struct mechos_line newest;
    mechos_word beats[MECHOS_BEAT_SLOTS * MECHOS_BEAT_STRIDE];
};

/* The guardian writes, mechos-rt reads. */
struct mechos_fence_page {
    struct mechos_header header;
    struct mechos_line heartbeat;
    struct mechos_line since; /* ns, written before the cause */
    struct mechos_line cause; /* enum mechos_cause, 0: down */
    struct mechos_line proved;
};

/* --- Records ------------------------------------------------------------------------------------
 * Units rad (m), s, Nm (N); times CLOCK_MONOTONIC ns; room is 0. */

#define MECHOS_AXES_MAX 32
#define MECHOS_INTENT_VERSION 1
#define MECHOS_AXIS_NONE 255

struct mechos_intent {
    uint64_t number;
    uint16_t version; /* MECHOS_INTENT_VERSION */
    uint8_t kind;     /* enum mechos_intent_kind */
    uint8_t room_1;
    uint16_t agent;
    uint16_t room_2;
    uint32_t epoch;
    uint32_t axes_mask;
    uint64_t issued_ns;
    uint64_t lease_until_ns;
    uint8_t trace[16];
    double position_rad[MECHOS_AXES_MAX];
    float velocity_end_rad_s[MECHOS_AXES_MAX];
    float velocity_peak_rad_s[MECHOS_AXES_MAX];
    float acceleration_peak_rad_s2[MECHOS_AXES_MAX];
    float jerk_peak_rad_s3[MECHOS_AXES_MAX];
    float effort_max_nm[MECHOS_AXES_MAX];
};

struct mechos_verdict {
    uint64_t number;
    uint8_t kind; /* enum mechos_verdict_kind */
    uint8_t rule; /* enum mechos_rule */
    uint8_t axis; /* or MECHOS_AXIS_NONE */
    uint8_t room_1;
    uint16_t cause; /* enum mechos_cause */
    uint16_t room_2;
    uint32_t epoch;
    uint32_t room_3;
    uint64_t tick;
    uint64_t decided_ns;
    uint8_t trace[16];
    double value;
    double limit;
    double nearest;
};

struct mechos_event {
    uint64_t tick;
    uint64_t time_ns;
    uint8_t kind;   /* enum mechos_event_kind */
    uint8_t mode;   /* enum mechos_mode */
    uint16_t cause; /* enum mechos_cause */
    uint32_t detail;
};

struct mechos_axis_telemetry {
    double position_rad;
    double velocity_rad_s;
    double effort_nm;
    double setpoint_rad;
    uint64_t age_ns;
    uint8_t state;
    uint8_t room_1;
    uint16_t fault_code;
    uint32_t room_2;
};

struct mechos_telemetry {
    uint64_t tick;
    uint64_t published_ns;
    uint8_t mode; /* enum mechos_mode; one that is not known is MECHOS_MODE_HALTED */
    uint8_t axis_count;
    uint8_t operator_has_control;
    uint8_t room_1;
    uint16_t cause; /* enum mechos_cause */
    uint16_t room_2;
    uint32_t cause_detail;
    uint32_t epoch;
    uint64_t active_intent;
    uint64_t accepted;
    uint64_t clamped;
    uint64_t refused;
    uint64_t preempted;
    uint64_t completed;
    uint64_t expired;
    uint64_t aborted;
    uint64_t active;
    struct mechos_axis_telemetry axes[MECHOS_AXES_MAX];
};

struct mechos_axis_description {
    char name[24]; /* UTF-8; zeros fill it up, none need follow */
    double position_min_rad;
    double position_max_rad;
    double velocity_max_rad_s;
    double acceleration_max_rad_s2;
    double jerk_max_rad_s3;
    double effort_max_nm;
    double home_rad;
};

struct mechos_description {
    char name[24];
    uint64_t period_ns;
    uint64_t lease_max_ns;
    uint64_t heartbeat_timeout_ns;
    uint32_t intents_per_second_max;
    uint32_t axis_count;
    struct mechos_axis_description axes[MECHOS_AXES_MAX];
};

struct mechos_beat {
    uint64_t tick;
    uint64_t t_ns;
    uint64_t mode; /* enum mechos_mode */
    uint64_t energised;
};

/* A message of the handshakes. */
struct mechos_message {
    uint64_t magic;
    uint64_t version;
    uint64_t layout;
    uint64_t kind; /* enum mechos_message_kind */
    uint64_t arguments[3];
    uint64_t room;
};

/* --- Numbers ----------------------------------------------------------------------------------- */

enum mechos_page {
    MECHOS_PAGE_INTENT = 1,
    MECHOS_PAGE_TELEMETRY = 2,
    MECHOS_PAGE_HEARTBEAT = 3,
    MECHOS_PAGE_FENCE = 4
};

enum mechos_message_kind {
    MECHOS_MESSAGE_HELLO = 1,
    MECHOS_MESSAGE_PAGES = 2,
    MECHOS_MESSAGE_REFUSED = 3,
    MECHOS_MESSAGE_MAPPED = 4,
    MECHOS_MESSAGE_GO = 5
};

enum mechos_service {
    MECHOS_SERVICE_LINK = 1,
    MECHOS_SERVICE_GUARDIAN = 2
};

enum mechos_refusal {
    MECHOS_REFUSAL_MALFORMED = 1,
    MECHOS_REFUSAL_VERSION = 2,
    MECHOS_REFUSAL_LAYOUT = 3,
    MECHOS_REFUSAL_USER = 4,
    MECHOS_REFUSAL_BUSY = 5,
    MECHOS_REFUSAL_PAGES = 6,
    MECHOS_REFUSAL_SERVICE = 7
};

enum mechos_intent_kind {
    MECHOS_INTENT_MOVE_JOINTS = 1,
    MECHOS_INTENT_HOLD = 2,
    MECHOS_INTENT_STOP = 3,
    MECHOS_INTENT_ESTOP = 4
};

enum mechos_verdict_kind {
    MECHOS_VERDICT_ACCEPTED = 1,
    MECHOS_VERDICT_CLAMPED = 2,
    MECHOS_VERDICT_REFUSED = 3,
    MECHOS_VERDICT_PREEMPTED = 4,
    MECHOS_VERDICT_COMPLETED = 5,
    MECHOS_VERDICT_EXPIRED = 6,
    MECHOS_VERDICT_ABORTED = 7
};

enum mechos_rule {
    MECHOS_RULE_NONE = 0,
    MECHOS_RULE_INTACT = 1,
    MECHOS_RULE_FINITE = 2,
    MECHOS_RULE_VERSION = 3,
    MECHOS_RULE_EPOCH = 4,
    MECHOS_RULE_SEQUENCE = 5,
    MECHOS_RULE_FRESHNESS = 6,
    MECHOS_RULE_LEASE = 7,
    MECHOS_RULE_MODE = 8,
    MECHOS_RULE_CAPABILITY = 9,
    MECHOS_RULE_RATE = 10,
    MECHOS_RULE_AXIS = 11,
    MECHOS_RULE_POSITION = 12,
    MECHOS_RULE_VELOCITY = 13,
    MECHOS_RULE_ACCELERATION = 14,
    MECHOS_RULE_JERK = 15,
    MECHOS_RULE_EFFORT = 16,
    MECHOS_RULE_STOPPABLE = 17,
    MECHOS_RULE_PLANNING = 18
};

enum mechos_event_kind {
    MECHOS_EVENT_MODE_CHANGED = 1,
    MECHOS_EVENT_TICKS_SKIPPED = 2,
    MECHOS_EVENT_AXIS_CHANGED = 3,
    MECHOS_EVENT_CONTROL_TAKEN = 4,
    MECHOS_EVENT_CONTROL_RETURNED = 5
};

enum mechos_mode {
    MECHOS_MODE_DISARMED = 0,
    MECHOS_MODE_ARMING = 1,
    MECHOS_MODE_ARMED = 2,
    MECHOS_MODE_STOPPING = 3,
    MECHOS_MODE_HALTED = 4
};

enum mechos_cause {
    MECHOS_CAUSE_NONE = 0,
    MECHOS_CAUSE_OPERATOR_STOP = 1,
    MECHOS_CAUSE_OPERATOR_ESTOP = 2,
    MECHOS_CAUSE_PLANNER_STOP = 3,
    MECHOS_CAUSE_PLANNER_ESTOP = 4,
    MECHOS_CAUSE_COGNITION_LOST = 5,
    MECHOS_CAUSE_FEEDBACK_STALE = 6,
    MECHOS_CAUSE_DRIVE_FAULT = 7,
    MECHOS_CAUSE_DRIVE_LOST = 8,
    MECHOS_CAUSE_DRIVE_LEFT = 9,
    MECHOS_CAUSE_FOLLOWING_ERROR = 10,
    MECHOS_CAUSE_LIMIT_PASSED = 11,
    MECHOS_CAUSE_NOT_STOPPABLE = 12,
    MECHOS_CAUSE_DEADLINE_CONTROL = 13,
    MECHOS_CAUSE_DEADLINE_BUS = 14,
    MECHOS_CAUSE_DEADLINE_THREAD_LOST = 15,
    MECHOS_CAUSE_GUARDIAN_LOST = 16,
    MECHOS_CAUSE_RT_LOST = 17,
    MECHOS_CAUSE_THREAD_PANIC = 18,
    MECHOS_CAUSE_BUS_FAULT = 19,
    MECHOS_CAUSE_SUSPENDED = 20,
    MECHOS_CAUSE_ARMING_FAILED = 21,
    MECHOS_CAUSE_TERMINATED = 22,
    MECHOS_CAUSE_HOUSEKEEPING_LOST = 23,
    MECHOS_CAUSE_UNEXPECTED_MOTION = 24,
    MECHOS_CAUSE_REAL_TIME_LOST = 25
};

/* --- What the compiler of whoever includes this must agree to ----------------------------------- */

static_assert(sizeof(mechos_word) == 8, "a word is eight bytes, with no lock beside it");
static_assert(sizeof(struct mechos_header) == 128 && sizeof(struct mechos_line) == 128, "lines");
static_assert(sizeof(struct mechos_intent_page) == 66432, "intent page");
static_assert(sizeof(struct mechos_telemetry_page) == 82048, "telemetry page");
static_assert(sizeof(struct mechos_heartbeat_page) == 1280, "heartbeat page");
static_assert(sizeof(struct mechos_fence_page) == 640, "fence page");
static_assert(sizeof(struct mechos_intent) == 119 * 8, "intent");
static_assert(sizeof(struct mechos_verdict) == 10 * 8, "verdict");
static_assert(sizeof(struct mechos_event) == 3 * 8, "event");
static_assert(sizeof(struct mechos_telemetry) == 205 * 8, "telemetry");
static_assert(sizeof(struct mechos_description) == 327 * 8, "description");
static_assert(sizeof(struct mechos_beat) == 4 * 8, "beat");
static_assert(sizeof(struct mechos_message) == 8 * 8, "message");

#endif
