//! After a prefetch, the lab is built, started and played without a network.

use crate::support::passes_in_own_network;

/// Plays the whole story in a network namespace with only loopback.
#[test]
fn the_whole_story_needs_no_network() {
    passes_in_own_network("true", "slow::story::a_learner_fixes_both_bugs_under_a_running_transfer", &[]);
}
