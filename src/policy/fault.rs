//! Deliberate holes, one of which a test may open, to see that it finds them.
//!
//! Invariant: nothing of this is in a release build, which names none.

/// A rule that is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A query's own filters are computed below the policy's.
    OpenBarrier,
    /// A masked column shows its value.
    LostMask,
    /// Statistics of hidden rows and values reach the planner.
    HiddenStatistics,
}

/// Whether the variable `WEIR_TEST_FAULT` of the environment names this fault.
pub(super) fn is_on(fault: Fault) -> bool {
    named() == Some(fault)
}

/// Whether it names any.
pub(super) fn is_any() -> bool {
    named().is_some()
}

#[cfg(debug_assertions)]
fn named() -> Option<Fault> {
    static NAMED: std::sync::OnceLock<Option<Fault>> = std::sync::OnceLock::new();
    *NAMED.get_or_init(|| {
        #[expect(clippy::disallowed_methods, reason = "no setting: it exists for tests alone")]
        let name = std::env::var("WEIR_TEST_FAULT").ok()?;
        [Fault::OpenBarrier, Fault::LostMask, Fault::HiddenStatistics]
            .into_iter()
            .find(|fault| format!("{fault:?}") == name)
    })
}

#[cfg(not(debug_assertions))]
const fn named() -> Option<Fault> {
    None
}
