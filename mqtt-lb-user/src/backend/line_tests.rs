use proptest::prelude::*;

use super::*;

const A: BackendId = BackendId(1);
const B: BackendId = BackendId(2);

/// A place for whoever waits.
fn free(backend: BackendId) -> Offer {
    Offer {
        backend,
        new: true,
        known: true,
    }
}

#[test]
fn who_came_first_is_called_first_whatever_it_waits_for() {
    let mut line = Line::default();
    for (own, name) in [
        (None, 1),
        (Some(A), 2),
        (Some(B), 3),
        (None, 4),
        (Some(A), 5),
    ] {
        line.join(own, name);
    }
    assert_eq!(line.len(), 5);
    let called: Vec<_> = std::iter::from_fn(|| line.call(free(A))).collect();
    assert_eq!(called, [1, 2, 4, 5]);
    assert!(line.wants(free(B)) && !line.wants(free(A)));
    assert_eq!(line.call(free(B)), Some(3));
    assert_eq!(line.len(), 0);
}

#[test]
fn a_draining_backend_calls_only_its_own() {
    let mut line = Line::default();
    line.join(None, 1);
    line.join(Some(A), 2);
    let offer = Offer {
        new: false,
        ..free(A)
    };
    assert_eq!(line.call(offer), Some(2));
    assert!(!line.wants(offer));
    assert_eq!(line.call(offer), None);
}

#[test]
fn a_backend_with_weight_zero_that_is_lost_to_its_own_calls_nobody() {
    let mut line = Line::default();
    line.join(None, 1);
    line.join(Some(A), 2);
    let offer = Offer {
        new: false,
        known: false,
        ..free(A)
    };
    assert!(!line.wants(offer));
    assert_eq!(line.call(offer), None);
}

#[test]
fn whose_backend_is_lost_keeps_its_place() {
    let mut line = Line::default();
    let first = line.join(Some(A), 1);
    line.join(None, 2);
    let third = line.join(Some(A), 3);
    line.release(|id| id == A);
    assert_eq!(line.leave(third, Some(A)), Some(3));
    assert_eq!(line.call(free(B)), Some(1));
    assert_eq!(line.leave(first, Some(A)), None, "it has been called");
    assert_eq!(line.call(free(B)), Some(2));
}

/// What can happen to a line.
#[derive(Debug, Clone)]
enum Step {
    Join(Option<u32>),
    Leave(prop::sample::Index),
    Call(u32, bool, bool),
    Release(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        proptest::option::of(0..3_u32).prop_map(Step::Join),
        any::<prop::sample::Index>().prop_map(Step::Leave),
        (0..3_u32, any::<bool>(), any::<bool>())
            .prop_map(|(id, new, known)| Step::Call(id, new, known)),
        (0..3_u32).prop_map(Step::Release),
    ]
}

proptest! {
    /// Against a plain list that is searched from its front.
    #[test]
    fn it_is_a_fair_line(steps in proptest::collection::vec(step(), 1..200)) {
        let mut line = Line::default();
        let mut plain: Vec<(Ticket, Option<BackendId>, Option<BackendId>, u32)> = Vec::new();
        for (name, step) in (0..).zip(steps) {
            match step {
                Step::Join(own) => {
                    let own = own.map(BackendId);
                    plain.push((line.join(own, name), own, own, name));
                }
                Step::Leave(who) => {
                    if !plain.is_empty() {
                        let (ticket, joined, _, name) = plain.remove(who.index(plain.len()));
                        prop_assert_eq!(line.leave(ticket, joined), Some(name));
                    }
                }
                Step::Call(id, new, known) => {
                    let offer = Offer { backend: BackendId(id), new, known };
                    let fits = |own: Option<BackendId>| match own {
                        None => new,
                        Some(own) => known && own == offer.backend,
                    };
                    let first = plain.iter().position(|(_, _, own, _)| fits(*own));
                    prop_assert_eq!(line.wants(offer), first.is_some());
                    let called = first.map(|at| plain.remove(at).3);
                    prop_assert_eq!(line.call(offer), called);
                }
                Step::Release(id) => {
                    line.release(|own| own == BackendId(id));
                    for (_, _, own, _) in &mut plain {
                        *own = own.filter(|own| own.0 != id);
                    }
                }
            }
            prop_assert_eq!(line.len(), plain.len());
        }
    }
}
