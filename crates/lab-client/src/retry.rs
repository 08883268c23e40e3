//! Retrying an Activity right away; pausing one for a stage.

use anyhow::{Result, bail};
use lab::{Halt, Held, RETRY_IDENTITY, STAGE_IDENTITY};
use serde_json::json;

use crate::{
    http::{is_silence, post_json},
    temporal::{Run, Server, status_of},
};

/// The paths to pause an Activity: since version 1.30 of the server, and before. In this order, because on a newer server the second
/// path starts a standalone Activity.
const ACTIVITIES: [&str; 2] = ["activities-deprecated", "activities"];
/// The statuses for an unknown path. The server also returns the first one for a closed Activity.
const NO_PATH: [u16; 3] = [404, 405, 501];

const NO_PAUSE: &str = "this Temporal server's HTTP API cannot pause an Activity";

/// What [`Server::retry_activity`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retried {
    /// The next attempt is made now.
    Now,
    /// The Activity was no longer pending.
    Gone,
    /// Somebody has paused it, so it stays as it is.
    Paused(Halt),
}

impl Server {
    /// Retries a pending Activity right away.
    ///
    /// It pauses and unpauses the Activity: a reset would start again with the first attempt and lose the count. If this process is
    /// killed in between, the Activity stays paused, as by [`RETRY_IDENTITY`], and the next retry unpauses it. What somebody else
    /// has paused stays so.
    pub fn retry_activity(&self, run: &Run, activity_id: &str) -> Result<Retried> {
        // A newer server may accept a second pause, which the unpause would then end together with the first.
        if let Some(pause) = self.pause_of(run, activity_id)?.filter(|pause| !pause.is_of_retry()) {
            return Ok(Retried::Paused(pause));
        }
        let which = json!({ "workflowId": run.workflow_id, "runId": run.run_id });
        let request = json!({ "execution": which, "id": activity_id, "identity": RETRY_IDENTITY });
        for activities in ACTIVITIES {
            let ask = |what: &str| post_json(&self.api(&format!("{activities}/{what}")), &request);
            let paused = match ask("pause") {
                // It is paused already.
                Err(error) if status_of(&error) == 400 => match self.pause_of(run, activity_id)? {
                    None => Err(error),
                    Some(pause) if pause.is_of_retry() => Ok(()),
                    Some(pause) => return Ok(Retried::Paused(pause)),
                },
                answer => answer.map(drop),
            };
            match paused.and_then(|()| ask("unpause")) {
                Err(error) if NO_PATH.contains(&status_of(&error)) => {
                    if self.can_pause_by(activities)? {
                        // The attempt has succeeded or the transfer has closed in the meantime.
                        return Ok(Retried::Gone);
                    }
                }
                answer => return answer.map(|_| Retried::Now),
            }
        }
        bail!(NO_PAUSE)
    }

    /// Pauses a pending Activity, as [`STAGE_IDENTITY`]. An attempt in progress continues. Returns whether it is paused:
    /// no if it is no longer pending.
    ///
    /// # Errors
    /// The server rejects it or does not answer.
    pub fn pause_activity(&self, run: &Run, activity_id: &str) -> Result<bool> {
        match self.change(run, activity_id, "pause") {
            // It is paused already.
            Err(error) if status_of(&error) == 400 && self.pause_of(run, activity_id)?.is_some() => Ok(true),
            answer => answer,
        }
    }

    /// Unpauses an Activity that [`Server::pause_activity`] has paused. What somebody else has paused stays so.
    ///
    /// # Errors
    /// The server rejects it or does not answer.
    pub fn unpause_activity(&self, run: &Run, activity_id: &str) -> Result<()> {
        let is_of_stage = |halt: Halt| matches!(halt, Halt::Paused { by, .. } if by == STAGE_IDENTITY);
        if self.pause_of(run, activity_id)?.is_some_and(is_of_stage) {
            self.change(run, activity_id, "unpause")?;
        }
        Ok(())
    }

    /// Pauses or unpauses an Activity for a stage. Returns whether it is pending.
    fn change(&self, run: &Run, activity_id: &str, what: &str) -> Result<bool> {
        let which = json!({ "workflowId": run.workflow_id, "runId": run.run_id });
        let request = json!({ "execution": which, "id": activity_id, "identity": STAGE_IDENTITY });
        for activities in ACTIVITIES {
            match post_json(&self.api(&format!("{activities}/{what}")), &request) {
                Err(error) if NO_PATH.contains(&status_of(&error)) => {
                    if self.can_pause_by(activities)? {
                        return Ok(false);
                    }
                }
                answer => return answer.map(|_| true),
            }
        }
        bail!(NO_PAUSE)
    }

    /// Who has paused an Activity, if somebody has.
    fn pause_of(&self, run: &Run, activity_id: &str) -> Result<Option<Halt>> {
        let description = self.describe_if_there(run)?.unwrap_or_default();
        let halts = lab::halts(&description, "", Vec::new);
        let is_it = |held: &Held| held.as_ref().is_none_or(|(id, _)| id == activity_id);
        let mut pauses =
            halts.into_iter().filter(|(held, halt)| is_it(held) && matches!(halt, Halt::Paused { .. }));
        Ok(pauses.next().map(|(_, halt)| halt))
    }

    /// Whether the server has these paths to pause an Activity: then an empty request gets another error than an unknown path.
    fn can_pause_by(&self, activities: &str) -> Result<bool> {
        match post_json(&self.api(&format!("{activities}/pause")), &json!({})) {
            Err(error) if is_silence(&error) => Err(error),
            Err(error) => Ok(!NO_PATH.contains(&status_of(&error))),
            Ok(_) => Ok(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stuck::tests::server;

    #[test]
    fn an_activity_is_retried_by_the_path_that_the_server_supports() {
        let run = Run { workflow_id: "t".to_owned(), run_id: "r".to_owned() };
        let retried = |answers: &'static [(&str, &str, &str)]| {
            server(answers).retry_activity(&run, "withdraw").map_err(|error| error.to_string())
        };
        const NONE_PENDING: (&str, &str, &str) = ("workflows/t?", "200", "{}");
        assert_eq!(retried(&[NONE_PENDING, ("activities-deprecated/", "200", "{}")]), Ok(Retried::Now));
        assert_eq!(
            retried(&[NONE_PENDING, ("activities-deprecated/", "404", "{}"), ("/activities/", "200", "{}")]),
            Ok(Retried::Now)
        );
        let error = retried(&[NONE_PENDING, ("/activities", "400", r#"{"message":"no"}"#)])
            .expect_err("it is refused");
        assert!(error.ends_with("answered 400: no"), "{error}");
        let error = retried(&[NONE_PENDING, ("/activities", "404", "{}")]).expect_err("there is no path");
        assert_eq!(error, "this Temporal server's HTTP API cannot pause an Activity");
    }

    #[test]
    fn what_a_stage_has_paused_stays_so_although_the_server_would_accept_a_second_pause() {
        let run = Run { workflow_id: "t".to_owned(), run_id: "r".to_owned() };
        const PAUSED: &str = r#"{"pendingActivities":[{"activityId":"deposit","activityType":{"name":"deposit"},
            "state":"PENDING_ACTIVITY_STATE_PAUSED","pauseInfo":{"manual":{"identity":"cargo xtask stage"}}}]}"#;
        let server = server(&[("workflows/t?", "200", PAUSED), ("/activities", "200", "{}")]);
        let retried = server.retry_activity(&run, "deposit").expect("the server answers");
        let Retried::Paused(Halt::Paused { by, .. }) = retried else { panic!("{retried:?}") };
        assert_eq!(by, STAGE_IDENTITY);
        assert_eq!(server.retry_activity(&run, "withdraw").expect("it is accepted"), Retried::Now);
    }
}
