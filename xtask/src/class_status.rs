//! What a lab's status says about its class: the announcement, the drill, the learner's question, and which stages are open.

use lab::Stage;
use lab_client::class::notices::ClassDrill;
use serde_json::Value;

/// Lines with the announcement, the drill that the learner has not started, the learner's question and its state, and a clock that is
/// wrong.
pub(crate) fn lines(status: &Value) -> Vec<String> {
    let class = &status["class"];
    let text = |value: &Value| value["text"].as_str().map(str::to_owned);
    let announcement = text(&class["announcement"]).map(|text| format!("from your instructor: {text}"));
    let drill = unstarted_drill(status).map(|drill| drill.offer());
    let help = text(&class["help"]).map(|text| match class["help"]["coming"] == true {
        true => format!("your instructor is coming; you asked: {text}"),
        false => format!("you asked for help: {text}; to remove the question: cargo xtask help-me --done"),
    });
    let clock = class["clock_ahead_s"].as_f64().map(|ahead| {
        format!(
            "this machine's clock is wrong, {}, so new transfers may not count for a goal; set it (in WSL2: sudo hwclock --hctosys)",
            terminal::ahead(ahead)
        )
    });
    announcement.into_iter().chain(drill).chain(help).chain(clock).collect()
}

/// The class's drill, until the learner has started it.
pub(crate) fn unstarted_drill(status: &Value) -> Option<ClassDrill> {
    let drill = &status["class"]["drill"];
    ClassDrill::from_json(drill).filter(|_| drill["started"] != true)
}

/// Why the learner should wait with this stage; `None` if it is open.
pub(crate) fn why_closed(status: &Value, stage: &Stage) -> Option<String> {
    let open = lab::stage(status["class"]["open"]["stage"].as_str()?)?;
    let number = stage.number()?;
    (number > open.number()?).then(|| {
        format!(
            "stage {number} is not open yet; your instructor has opened the stages up to {}",
            open.heading()
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_stage_after_the_last_open_one_is_closed() {
        let status = |open: Value| json!({ "class": { "open": open } });
        let closed =
            |status: &Value| lab::STAGES.iter().filter(|stage| why_closed(status, stage).is_some()).count();
        assert_eq!(closed(&json!({ "class": null })), 0);
        assert_eq!(closed(&status(Value::Null)), 0);
        let second = status(json!({ "stage": lab::STAGES[1].name }));
        assert_eq!(closed(&second), lab::STAGES.len() - 2);
        let said = why_closed(&second, &lab::STAGES[2]).expect("it is closed");
        assert!(
            said.starts_with("stage 3 is not open yet; your instructor has opened the stages up to 2"),
            "{said}"
        );
    }

    #[test]
    fn the_announcement_comes_before_the_learners_own_question() {
        let status = json!({ "class": {
            "announcement": { "text": "a break" }, "help": { "text": "where?", "coming": true },
        }});
        let expected = ["from your instructor: a break", "your instructor is coming; you asked: where?"];
        assert_eq!(lines(&status), expected);
        let ahead = |seconds: f64| lines(&json!({ "class": { "clock_ahead_s": seconds } })).join("");
        assert!(
            ahead(125.0).starts_with("this machine's clock is wrong, 2 min ahead, so"),
            "{}",
            ahead(125.0)
        );
        assert!(ahead(-60.0).contains("1 min behind"), "{}", ahead(-60.0));
        assert!(lines(&json!({ "class": null })).is_empty() && lines(&Value::Null).is_empty());
    }

    #[test]
    fn a_drill_is_offered_until_it_is_started() {
        let status = |started: bool| json!({ "class": { "drill": { "seed": 7, "started": started } } });
        assert_eq!(
            lines(&status(false)),
            ["your instructor started a drill; to begin it: cargo xtask drill --seed 7"]
        );
        assert_eq!((lines(&status(true)), unstarted_drill(&Value::Null)), (Vec::new(), None));
    }
}
