//! A panic without backtraces: caught, and everything on its way cleaned up.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test panics on purpose"
)]

use std::panic::{catch_unwind, set_hook, take_hook};
use std::sync::atomic::{AtomicUsize, Ordering};

use no_backtrace as _;

static CLEANED: AtomicUsize = AtomicUsize::new(0);

struct Cleaned;

impl Drop for Cleaned {
    fn drop(&mut self) {
        CLEANED.fetch_add(1, Ordering::Relaxed);
    }
}

#[inline(never)]
fn fall(depth: usize) -> usize {
    let _cleaned = Cleaned;
    match depth {
        0 => panic!("on purpose"),
        _ => fall(depth - 1) + 1,
    }
}

#[test]
fn a_panic_is_caught_and_cleans_up_on_its_way_each_time() {
    let harness = take_hook();
    set_hook(Box::new(|_| {}));
    for times in 1..=3 {
        let fallen = catch_unwind(|| fall(9)).unwrap_err();
        assert_eq!(fallen.downcast_ref::<&str>(), Some(&"on purpose"));
        assert_eq!(CLEANED.load(Ordering::Relaxed), 10 * times);
    }
    set_hook(harness);
}
