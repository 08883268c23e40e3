//! No network: once everything is fetched, the lab is built, started and played without one.

use crate::support::passes_in_own_network;

/// Plays the whole story again, in a network namespace that has nothing but loopback.
#[test]
fn the_whole_story_needs_no_network() {
    passes_in_own_network("true", "slow::story::a_learner_mends_both_bugs_under_a_running_transfer", &[]);
}
