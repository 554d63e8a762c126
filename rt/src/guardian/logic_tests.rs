//! Behaviour of the guardian's logic, case by case and over all combinations.

use super::*;

const MS: u64 = 1_000_000;
const BUDGET: u64 = 2 * MS;
const START: u64 = 1_000 * MS;

fn calm(now_ns: u64) -> Observed {
    Observed { now_ns, beat: None, news: None, estop: false, terminate: false, all_stopped: false }
}

fn beat(count: u64, t_ns: u64, energised: bool) -> Option<Beat> {
    Some(Beat { count, t_ns, energised })
}

/// A guardian that has seen one beat at `START`.
fn watching(energised: bool) -> GuardianLogic {
    let mut logic = GuardianLogic::new(BUDGET, true);
    let decision = logic.step(&Observed { beat: beat(1, START, energised), ..calm(START) });
    assert_eq!(decision.raised, None);
    logic
}

/// Answers the fence that these tests latch at their start.
const RESET: News = News::Reset { since_ns: START };

#[test]
fn a_beating_daemon_is_left_alone() {
    let mut logic = watching(true);
    for tick in 1..10_000 {
        let now = START + tick * MS;
        let decision = logic.step(&Observed { beat: beat(1 + tick, now, true), ..calm(now) });
        assert_eq!(decision, Decision::default());
    }
    assert!(logic.beat_age_max_ns() <= BUDGET);
}

#[test]
fn a_beat_as_old_as_the_budget_is_no_loss_and_one_older_is() {
    let mut logic = watching(true);
    let now = START + BUDGET;
    assert!(!logic.step(&Observed { beat: beat(1, START, true), ..calm(now) }).fenced);
    assert_eq!(logic.expiry_ns(), Some(now + 1));
    let decision = logic.step(&Observed { beat: beat(1, START, true), ..calm(now + 1) });
    assert_eq!(decision.raised, Some(Fence { cause: Cause::RtLost, t_ns: now + 1 }));
    assert!(decision.fenced && !decision.may_prove);
}

#[test]
fn silence_without_power_is_no_loss() {
    let mut logic = watching(false);
    let decision = logic.step(&Observed { beat: beat(1, START, false), ..calm(START + 1000 * MS) });
    assert!(!decision.fenced);
    assert!(!decision.may_prove, "an old word of the daemon proves nothing");
}

#[test]
fn a_time_from_the_future_does_not_hide_silence() {
    let mut logic = watching(true);
    let future = beat(2, u64::MAX, true);
    assert!(!logic.step(&Observed { beat: future, ..calm(START + MS) }).fenced);
    let late = START + MS + BUDGET + 1;
    assert!(logic.step(&Observed { beat: future, ..calm(late) }).fenced);
}

#[test]
fn a_count_that_moves_with_an_old_time_does_not_hide_silence() {
    let mut logic = watching(true);
    let late = START + BUDGET + 1;
    assert!(logic.step(&Observed { beat: beat(2, START, true), ..calm(late) }).fenced);
}

#[test]
fn a_hang_up_or_a_goodbye_with_power_stops_at_once() {
    for news in [News::HungUp, News::Goodbye] {
        let mut logic = watching(true);
        let now = START + 1;
        let seen = Observed { beat: beat(1, START, true), news: Some(news), ..calm(now) };
        let raised = logic.step(&seen).raised;
        assert_eq!(raised, Some(Fence { cause: Cause::RtLost, t_ns: now }));
        assert!(!logic.is_connected());
    }
}

#[test]
fn a_goodbye_without_power_is_an_orderly_end() {
    let mut logic = watching(false);
    let seen = Observed { beat: beat(1, START, false), news: Some(News::Goodbye), ..calm(START) };
    assert!(!logic.step(&seen).fenced);
    assert!(!logic.is_connected());
}

#[test]
fn an_emergency_stop_needs_no_daemon_and_no_power() {
    let mut logic = GuardianLogic::new(BUDGET, true);
    let decision = logic.step(&Observed { estop: true, ..calm(START) });
    assert_eq!(decision.raised, Some(Fence { cause: Cause::OperatorEstop, t_ns: START }));
}

#[test]
fn the_first_cause_stays_over_reconnects_and_time() {
    let mut logic = GuardianLogic::new(BUDGET, true);
    logic.step(&Observed { estop: true, ..calm(START) });
    let first = logic.fence();
    for round in 1..100 {
        let now = START + round * 100 * MS;
        let lost = Observed {
            beat: beat(round, now - 50 * MS, true),
            news: Some(News::HungUp),
            ..calm(now)
        };
        assert_eq!(logic.step(&lost).raised, None);
        assert!(logic.step(&calm(now + MS)).fenced);
    }
    assert_eq!(logic.fence(), first);
}

#[test]
fn only_a_reset_from_a_living_daemon_drops_the_fence() {
    let mut logic = GuardianLogic::new(BUDGET, true);
    logic.step(&Observed { estop: true, ..calm(START) });
    let stale =
        Observed { beat: beat(1, START - 100 * MS, false), news: Some(RESET), ..calm(START + MS) };
    assert!(logic.step(&stale).fenced);
    let now = START + 2 * MS;
    let fresh = Observed { beat: beat(2, now, false), news: Some(RESET), ..calm(now) };
    let decision = logic.step(&fresh);
    assert!(decision.dropped && !decision.fenced);
    assert_eq!(logic.fence(), None);
}

#[test]
fn a_reset_does_not_answer_an_emergency_stop_that_came_after_it() {
    let mut logic = watching(false);
    logic.step(&Observed { beat: beat(1, START, false), estop: true, ..calm(START) });
    let now = START + MS;
    let again = Observed { beat: beat(2, now, false), estop: true, ..calm(now) };
    let renewed = logic.step(&again).raised;
    assert_eq!(renewed, Some(Fence { cause: Cause::OperatorEstop, t_ns: now }));
    let late = Observed { beat: beat(3, now, false), news: Some(RESET), ..calm(now) };
    assert!(logic.step(&late).fenced, "it answers the fence of START");
    let answer = Some(News::Reset { since_ns: now });
    let meant = Observed { beat: beat(4, now, false), news: answer, ..calm(now) };
    assert!(logic.step(&meant).dropped);
}

#[test]
fn an_emergency_stop_in_the_turn_of_a_reset_wins() {
    let mut logic = watching(false);
    logic.step(&Observed { beat: beat(1, START, false), estop: true, ..calm(START) });
    let now = START + MS;
    let both = Observed { beat: beat(2, now, false), news: Some(RESET), estop: true, ..calm(now) };
    let decision = logic.step(&both);
    assert_eq!(decision.raised, Some(Fence { cause: Cause::OperatorEstop, t_ns: now }));
    assert!(decision.fenced);
}

#[test]
fn a_guardian_held_up_between_two_turns_blames_nobody() {
    // SIGSTOP and SIGCONT of the guardian itself: the time was read before a beat that is fresh.
    let mut logic = watching(true);
    let now = START + 60_000 * MS;
    assert!(!logic.step(&Observed { beat: beat(60_000, now + 3, true), ..calm(now) }).fenced);
}

#[test]
fn switched_off_it_watches_and_does_nothing() {
    let mut logic = GuardianLogic::new(BUDGET, false);
    logic.step(&Observed { beat: beat(1, START, true), ..calm(START) });
    let seen = Observed {
        beat: beat(1, START, true),
        estop: true,
        news: Some(News::HungUp),
        ..calm(START + 100 * MS)
    };
    let decision = logic.step(&seen);
    assert_eq!((decision.raised, decision.fenced), (None, false));
    assert_eq!(logic.latch(Cause::ThreadPanic, START), None);
    assert_eq!(logic.beat_age_max_ns(), 100 * MS);
}

#[test]
fn asked_to_end_it_stays_until_the_daemon_has_gone() {
    let mut logic = watching(true);
    for ms in 0..100 {
        let now = START + ms * MS;
        let seen = Observed { beat: beat(2 + ms, now, true), terminate: true, ..calm(now) };
        assert!(!logic.step(&seen).leave);
    }
    let now = START + 100 * MS;
    let goodbye = Observed {
        beat: beat(200, now, false),
        news: Some(News::Goodbye),
        terminate: true,
        ..calm(now)
    };
    assert!(logic.step(&goodbye).leave);
}

#[test]
fn asked_to_end_with_the_daemon_lost_it_stays_until_the_drives_confirm() {
    let mut logic = watching(true);
    let lost = Observed {
        beat: beat(1, START, true),
        news: Some(News::HungUp),
        terminate: true,
        ..calm(START + MS)
    };
    let decision = logic.step(&lost);
    assert!(decision.raised.is_some() && !decision.leave);
    let waiting = Observed { terminate: true, ..calm(START + 2 * MS) };
    assert!(!logic.clone().step(&waiting).leave);
    assert!(logic.clone().step(&Observed { all_stopped: true, ..waiting }).leave);
    let late = START + MS + CONFIRM_MAX_NS;
    assert!(logic.step(&Observed { terminate: true, ..calm(late) }).leave);
}

#[test]
fn a_daemon_that_does_not_end_is_stopped_and_left() {
    let mut logic = watching(true);
    let begin = Observed { beat: beat(2, START, true), terminate: true, ..calm(START) };
    assert!(!logic.step(&begin).fenced);
    let now = START + LEAVE_MAX_NS;
    let seen = Observed { beat: beat(3, now, true), terminate: true, ..calm(now) };
    let decision = logic.step(&seen);
    assert_eq!(decision.raised, Some(Fence { cause: Cause::Terminated, t_ns: now }));
    assert!(!decision.leave, "not before the drives confirm");
    assert!(logic.step(&Observed { all_stopped: true, ..seen }).leave);
}

/// Every combination of what can be seen in one turn, from every state: the promises hold.
#[test]
fn the_promises_hold_in_every_combination() {
    let bools = [false, true];
    let newses = [None, Some(RESET), Some(News::Goodbye), Some(News::HungUp)];
    let ages = [0, BUDGET, BUDGET + 1, 1000 * MS];
    let mut cases = 0;
    for acts in bools {
        for was_fenced in bools {
            for before in [None, Some(false), Some(true)] {
                for now_beat in [None, Some(false), Some(true)] {
                    for age in ages {
                        for news in newses {
                            for word in 0..8u8 {
                                let seen = Observed {
                                    now_ns: START + 5000 * MS,
                                    beat: now_beat.map(|energised| Beat {
                                        count: 9,
                                        t_ns: START + 5000 * MS - age,
                                        energised,
                                    }),
                                    news,
                                    estop: word & 1 != 0,
                                    terminate: word & 2 != 0,
                                    all_stopped: word & 4 != 0,
                                };
                                check(acts, was_fenced, before, age, seen);
                                cases += 1;
                            }
                        }
                    }
                }
            }
        }
    }
    assert_eq!(cases, 2 * 2 * 3 * 3 * 4 * 4 * 8);
}

fn check(acts: bool, was_fenced: bool, before: Option<bool>, age: u64, seen: Observed) {
    let mut logic = GuardianLogic::new(BUDGET, acts);
    logic.step(&Observed {
        beat: before.map(|energised| Beat { count: 8, t_ns: START, energised }),
        estop: was_fenced,
        ..calm(START)
    });
    let old = logic.fence();
    assert_eq!(old.is_some(), was_fenced && acts);
    let decision = logic.step(&seen);
    let case = format!("acts {acts} fenced {was_fenced} before {before:?} age {age} {seen:?}");

    let connected = seen.beat.is_some();
    let energised = seen.beat.is_some_and(|beat| beat.energised);
    let fresh = connected && age <= BUDGET;
    let gone = matches!(seen.news, Some(News::HungUp | News::Goodbye));
    let reset = seen.news == Some(RESET) && fresh;
    let loss = seen.estop || (energised && (gone || !fresh));
    let stands = old.is_some() && !reset;

    assert_eq!(decision.dropped, old.is_some() && reset, "{case}");
    assert_eq!(decision.raised.is_some(), acts && (seen.estop || (loss && !stands)), "{case}");
    assert_eq!(decision.fenced, acts && (stands || loss), "{case}");
    assert_eq!(decision.fenced, logic.fence().is_some(), "{case}");
    if stands {
        let cause = old.map(|fence| fence.cause);
        assert_eq!(logic.fence().map(|fence| fence.cause), cause, "{case}");
        assert_eq!(logic.fence() == old, !seen.estop, "{case}");
    }
    if decision.may_prove {
        assert!(fresh && !energised && !gone && !decision.fenced, "{case}");
    }
    if decision.leave {
        assert!(seen.terminate, "{case}");
        assert!(!connected || gone, "{case}");
        assert!(!decision.fenced || seen.all_stopped, "{case}");
    }
}
