//! Waiting for an event: a condition is asked again at short intervals until it
//! holds or a limit, far above what a sound run needs, has passed.

use std::time::{Duration, Instant};

/// How long an event may take before the test is failed.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Asks `condition` until it gives a value. The error names `what` was awaited.
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> crate::Result<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return Ok(value);
        }
        if start.elapsed() > LIMIT {
            return Err(format!("waited {} s in vain for {what}", LIMIT.as_secs()).into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
