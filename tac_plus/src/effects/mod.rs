//! What the policy asks the world for, performed.
//!
//! Owns threads, files and processes that a decision needs. Must never decide
//! anything, and never make one request wait for another's effect: everything
//! here is bounded in number and in time.
//!
//! | file | owns |
//! |---|---|
//! | [`inbox`] | results on their way back to their connection |

pub(crate) mod inbox;
