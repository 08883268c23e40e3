//! The review of an incident, to fill in: blameless, and with the facts in it.

use super::{
    clock::{span, stamp},
    report::{Conclusion, DrillReport},
    timeline::{Moment, SIGN},
};
use crate::journal::ON_PAGE;

/// The sections of the review: the heading of each, and its Markdown.
pub(super) fn sections(report: &DrillReport) -> Vec<(&'static str, String)> {
    let facts = report.facts();
    let fact = |name: &str| facts.iter().find(|fact| fact.0 == name).map_or("", |(_, value)| value);
    let sign = report.timeline.iter().find(|moment| moment.what.starts_with(SIGN));
    let is_typed = |moment: &&Moment| ["$ ", ON_PAGE].iter().any(|begin| moment.what.starts_with(begin));
    let typed = report.timeline.iter().find(is_typed);
    let at = |moment: Option<&Moment>, none: &str| match moment {
        Some(moment) => {
            format!("after {}: {}", span(moment.seconds), moment.words().trim_start_matches(SIGN))
        }
        None => none.to_owned(),
    };
    let ended = match report.conclusion {
        Conclusion::GaveUp => format!(
            "The drill was given up{}.",
            report.ended.map_or(String::new(), |seconds| format!(" after {}", span(seconds)))
        ),
        Conclusion::InProgress | Conclusion::Recovered => format!("Recovered: {}.", fact("recovered")),
    };
    let timeline = report.timeline.iter();
    let timeline = timeline.map(|moment| format!("- {}: {}\n", stamp(moment.seconds), moment.words()));
    vec![
        (
            "Summary",
            format!(
                "{}. First sign: {}. Mitigated: {}. {ended}\n\nIn two sentences, what happened, and why: ____\n",
                report.name(),
                fact("first sign"),
                fact("mitigated"),
            ),
        ),
        (
            "Impact",
            format!(
                "- Transfers hit: {}\n- Money at risk: {}\n- Corrections by hand: {}\n- What a customer noticed: ____\n",
                fact("transfers hit"),
                fact("money at risk"),
                report.corrections
            ),
        ),
        (
            "Detection",
            format!(
                "- In the histories: {}\n- First command: {}\n- What told us: ____\n- What could have told us earlier: ____\n",
                at(sign, "no sign yet"),
                at(typed, "none in the journal")
            ),
        ),
        ("Timeline", timeline.collect()),
        ("What went well", "- It helped that ____\n- We were right to ____\n".to_owned()),
        ("What was hard", "- We could not see ____\n- It took long to ____\n".to_owned()),
        (
            "Action items",
            "- So that it cannot happen again: ____ (who: ____, by: ____)\n- So that we notice it sooner: ____ (who: ____, by: ____)\n\
             - So that we recover faster: ____ (who: ____, by: ____)\n"
                .to_owned(),
        ),
    ]
}

/// What a review is about, above the sections.
pub(super) const BLAMELESS: &str = "Everybody did what made sense with what they knew at the time. Write about the system: what it \
                                    allowed, what it showed, and what it hid.";

/// The review as Markdown.
pub(super) fn markdown(report: &DrillReport) -> String {
    let sections = sections(report).into_iter().map(|(heading, text)| format!("\n## {heading}\n\n{text}"));
    format!("# Review: {}\n\n{BLAMELESS}\n{}", report.incident.title(), sections.collect::<String>())
}
