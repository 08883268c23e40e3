//! Retrying an Activity right away.

use anyhow::{Result, bail};
use lab::{Halt, Held, RETRY_IDENTITY};
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
        bail!("this Temporal server's HTTP API cannot pause an Activity")
    }

    /// Who has paused an Activity, if somebody has.
    fn pause_of(&self, run: &Run, activity_id: &str) -> Result<Option<Halt>> {
        let halts = lab::halts(&self.describe(run)?, "", Vec::new);
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
        assert_eq!(retried(&[("activities-deprecated/", "200", "{}")]), Ok(Retried::Now));
        assert_eq!(
            retried(&[("activities-deprecated/", "404", "{}"), ("/activities/", "200", "{}")]),
            Ok(Retried::Now)
        );
        let error = retried(&[NONE_PENDING, ("/activities", "400", r#"{"message":"no"}"#)])
            .expect_err("it is refused");
        assert!(error.ends_with("answered 400: no"), "{error}");
        let error = retried(&[("/activities", "404", "{}")]).expect_err("there is no path");
        assert_eq!(error, "this Temporal server's HTTP API cannot pause an Activity");
    }
}
