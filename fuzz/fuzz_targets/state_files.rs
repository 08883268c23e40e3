//! The files in `.lab`, which a crash, a full disk or an editor may have damaged: what can be read is as it was written, and
//! the rest is as if it were not there.

#![no_main]

use lab_client::{
    class::Help,
    progress::Progress,
    state::{Ports, RemoteService, State},
    supervisor::Supervisor,
    time,
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|text: &str| {
    if let Some(state) = State::parse(text) {
        assert_eq!(State::parse(&state.to_json().to_string()).as_ref(), Some(&state));
        let supervisor = Supervisor::of_state(&state);
        assert_eq!(Supervisor::parse(text), Some(supervisor));
        for (_, process) in state.services.iter().chain([&("supervisor".to_owned(), state.supervisor)]) {
            assert!(
                (2..=i32::MAX as u32).contains(&process.pid),
                "a signal to {} goes to others",
                process.pid
            );
        }
    }

    let ports = Ports::parse(text);
    assert_eq!(Ports::parse(&ports.to_json().to_string()), ports);
    // The remote service that is remembered, and the question that is asked in a class.
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    let remote_service = RemoteService::from_json(&value);
    if let Some(remote_service) = &remote_service {
        assert_eq!(RemoteService::from_json(&remote_service.to_json()).as_ref(), Some(remote_service));
    }
    let _ = lab_client::state::endpoints(&ports, remote_service.as_ref());
    if let Some(help) = Help::from_json(&value) {
        assert_eq!(Help::from_json(&help.to_json()), Some(help));
    }

    let progress = Progress::parse(text);
    assert_eq!(Progress::parse(&progress.to_json().to_string()), progress);
    // When a stage was entered is a time of the server, as are those in its answers.
    let _ = time::parse_rfc3339(&progress.entered);

    // The name of a backup's folder.
    let begin = text.split('-').next().unwrap_or_default();
    if let Some(saved) = time::from_compact(begin) {
        assert!(time::parse_rfc3339(&saved).is_some_and(f64::is_finite), "{saved}");
    }
    if let Some(seconds) = time::parse_rfc3339(text) {
        assert!(seconds.is_finite() && seconds >= 0.0, "{seconds}");
    }
});
