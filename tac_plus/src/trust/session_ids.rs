//! Session_ids that were used.
//!
//! Owns how often each was, for a time and in bounded memory: counters of two bits in
//! tables that grow with what comes and go with time. A count may be too high, for a few
//! in a million that nobody has used so often, and is never too low. Knows no secret: what
//! it is given is a keyed hash.

use std::collections::VecDeque;
use std::time::Duration;

/// Counts end here.
pub(super) const MOST: u8 = 3;

/// One cache line of counters, of which an entry has four: a look costs one miss.
const LINE: usize = 8;
const COUNTERS: usize = 4;
/// Entries for each line.
const ENTRIES: usize = 48;
/// Lines of tables: one that is full is followed by one of the next size. The largest
/// holds what 20,000 connections a second can send in ten minutes, in 16 MB.
const SIZES: [usize; 3] = [1 << 9, 1 << 14, 1 << 18];
const LARGEST: usize = SIZES[2];
/// Of all tables together: two of the largest, and those that grew to them.
const LINES: usize = 2 * LARGEST + LARGEST / 4;

/// How often each was used.
pub(super) struct SessionIds {
    /// The last one takes what comes, the others are looked at.
    tables: VecDeque<Table>,
    /// How long each is remembered from its last use on, if there is room as long.
    kept: Duration,
}

struct Table {
    lines: Vec<Line>,
    entries: usize,
    /// When it took the first and the last one.
    begun: Duration,
    last: Duration,
}

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line([u64; LINE]);

impl SessionIds {
    /// None yet. Takes no memory before the first.
    pub(super) const fn new(kept: Duration) -> Self {
        Self {
            tables: VecDeque::new(),
            kept,
        }
    }

    /// How often it was used.
    pub(super) fn uses(&self, key: u64, now: Duration) -> u8 {
        let kept = |table: &&Table| table.last + self.kept > now;
        let counts = self.tables.iter().filter(kept);
        counts.map(|table| table.count_of(key)).max().unwrap_or(0)
    }

    /// It has now been used so often.
    pub(super) fn set(&mut self, key: u64, uses: u8, now: Duration) {
        if let Some(table) = self.table(now) {
            table.raise(key, uses.min(MOST), now);
        }
    }

    /// The table that takes what comes now.
    fn table(&mut self, now: Duration) -> Option<&mut Table> {
        let lines = match self.tables.back() {
            None => SIZES.first().copied(),
            Some(last) => last.next_size(now, self.kept),
        };
        if let Some(lines) = lines {
            self.tables.push_back(Table::new(lines, now));
            self.forget(now);
        }
        self.tables.back_mut()
    }

    /// Gives up tables whose time is over, and the oldest where all together are too large.
    fn forget(&mut self, now: Duration) {
        let kept = self.kept;
        self.tables
            .retain(|table| table.last + kept > now || table.entries == 0);
        while self.tables.len() > 1 && self.lines() > LINES {
            self.tables.pop_front();
        }
    }

    fn lines(&self) -> usize {
        self.tables.iter().map(|table| table.lines.len()).sum()
    }
}

impl Table {
    fn new(lines: usize, now: Duration) -> Self {
        Self {
            lines: vec![Line([0; LINE]); lines],
            entries: 0,
            begun: now,
            last: now,
        }
    }

    /// How large the table has to be that follows, if it is time for one.
    fn next_size(&self, now: Duration, kept: Duration) -> Option<usize> {
        let lines = self.lines.len();
        let is_full = self.entries >= lines * ENTRIES;
        let fits = |size: &&usize| match is_full {
            true => **size > lines,
            false => **size * ENTRIES >= self.entries * 2,
        };
        let is_over = now.saturating_sub(self.begun) >= kept;
        let next = SIZES.iter().find(fits).copied().unwrap_or(LARGEST);
        (is_full || is_over).then_some(next)
    }

    fn count_of(&self, key: u64) -> u8 {
        let Some(line) = self.lines.get(self.line_of(key)) else {
            return 0;
        };
        let counts = places(key).map(|(word, shift)| {
            let word = line.0.get(word).copied().unwrap_or_default();
            u8::try_from(word >> shift & 3).unwrap_or(MOST)
        });
        counts.into_iter().min().unwrap_or(0)
    }

    fn raise(&mut self, key: u64, count: u8, now: Duration) {
        let line = self.line_of(key);
        let Some(line) = self.lines.get_mut(line) else {
            return;
        };
        for (word, shift) in places(key) {
            if let Some(word) = line.0.get_mut(word)
                && *word >> shift & 3 < count.into()
            {
                *word = *word & !(3 << shift) | u64::from(count) << shift;
            }
        }
        self.entries += 1;
        self.last = now;
    }

    /// Chosen by the upper half of the key; the lower one chooses within it.
    fn line_of(&self, key: u64) -> usize {
        let lines = u64::try_from(self.lines.len()).unwrap_or(0);
        usize::try_from(((key >> 32) * lines) >> 32).unwrap_or(0)
    }
}

/// The word of a line and the place in it of each counter of a key.
fn places(key: u64) -> [(usize, u32); COUNTERS] {
    [0u32, 8, 16, 24].map(|at| {
        let [place, ..] = (key >> at).to_le_bytes();
        (usize::from(place >> 5), u32::from(place & 31) * 2)
    })
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use super::*;

    const TEN_MINUTES: Duration = Duration::from_secs(600);

    fn keys(keys: &RandomState, from: u32, count: u32) -> impl Iterator<Item = u64> {
        (from..from + count).map(|id| keys.hash_one(id))
    }

    fn count(ids: &mut SessionIds, key: u64, now: Duration) -> bool {
        let uses = ids.uses(key, now);
        ids.set(key, uses + 1, now);
        uses < MOST
    }

    #[test]
    fn nothing_is_forgotten_for_ten_minutes_whatever_comes_meanwhile() {
        let random = RandomState::new();
        let mut ids = SessionIds::new(TEN_MINUTES);
        for key in keys(&random, 0, 100) {
            assert!((0..3).all(|_| count(&mut ids, key, Duration::ZERO)));
        }
        // 2,000 logins a second.
        let mut wrongly = 0;
        for second in 0..600 {
            for key in keys(&random, 1000 + second * 2000, 2000) {
                let now = Duration::from_secs(second.into());
                wrongly += u32::from(!count(&mut ids, key, now));
            }
        }
        assert!(wrongly < 30, "of 1.2 million: {wrongly}");
        let now = Duration::from_secs(599);
        assert!(keys(&random, 0, 100).all(|key| ids.uses(key, now) == MOST));
        let bytes = ids.lines() * size_of::<Line>();
        assert!(bytes < 24 << 20, "{bytes}");
    }

    #[test]
    fn memory_has_a_bound_and_goes_back_when_it_is_quiet() {
        let random = RandomState::new();
        let mut ids = SessionIds::new(TEN_MINUTES);
        for (at, key) in keys(&random, 0, 2_000_000).enumerate() {
            count(&mut ids, key, Duration::from_micros(50 * at as u64));
            assert!(ids.lines() <= LINES);
        }
        for minute in 2..60 {
            let key = random.hash_one(minute);
            count(&mut ids, key, Duration::from_secs(minute * 60));
        }
        let bytes = ids.lines() * size_of::<Line>();
        assert!(bytes <= 64 << 10, "{bytes}");
    }

    #[test]
    fn who_comes_back_in_time_is_remembered_from_then_on() {
        let mut ids = SessionIds::new(TEN_MINUTES);
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let mut uses = |at, set| {
            let found = ids.uses(42, minutes(at));
            if set {
                ids.set(42, found + 1, minutes(at));
            }
            found
        };
        let found = [
            uses(0, true),
            uses(9, true),
            uses(18, true),
            uses(27, false),
            uses(60, false),
        ];
        assert_eq!(found, [0, 1, 2, 3, 0]);
    }
}
