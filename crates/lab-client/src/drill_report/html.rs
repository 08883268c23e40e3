//! The report of a drill as one HTML file: on a phone, in the dark, and on two printed pages.

use super::{clock::stamp, markdown, report::DrillReport, review};
use crate::html::{escape, page};

const STYLE: &str = include_str!("report.css");

/// The section of the review that is a table of its own here.
const TIMELINE: &str = "Timeline";

/// The page.
pub(super) fn page_of(report: &DrillReport) -> String {
    let title = report.incident.title();
    let seed = report.seed.map_or(String::new(), |seed| format!(" · seed {seed}"));
    let facts = report.facts();
    let facts =
        facts.iter().map(|(name, value)| format!("<div><dt>{name}</dt><dd>{}</dd></div>\n", escape(value)));
    let goals = report.goals().map(|(goal, verdict)| {
        let (class, mark) = if verdict.is_reached() { ("good", "✓") } else { ("bad", "✗") };
        format!("<li class={class}><b>{mark}</b> {}</li>\n", escape(goal.says))
    });
    let broken =
        report.goals.wrong.iter().map(|wrong| {
            format!("<li class=bad><b>✗</b> broken rule: {}</li>\n", escape(&wrong.evidence.what))
        });
    let timeline = report.timeline.iter().map(|moment| {
        format!(
            "<tr><td title=\"{}\">{}</td><td>{}</td></tr>\n",
            escape(&moment.time),
            stamp(moment.seconds),
            escape(&moment.words())
        )
    });
    let review = review::sections(report).into_iter().filter(|(heading, _)| *heading != TIMELINE);
    let review = review.map(|(heading, text)| format!("<h3>{heading}</h3>\n{}", markdown::to_html(&text)));
    let explanation = report.explanation().map_or(String::new(), |text| {
        format!("<section>\n<h2>Explanation</h2>\n{}</section>\n", markdown::to_html(&text))
    });
    let body = format!(
        "<header>\n<h1>{}</h1>\n<p class=headline>{}</p>\n<p class=dim>{}{seed} · began at {}</p>\n</header>\n\
         <dl>\n{}</dl>\n<section>\n<h2>Goals</h2>\n<ul class=goals>\n{}{}</ul>\n</section>\n\
         <section>\n<h2>{TIMELINE}</h2>\n<table>\n<tbody>\n{}</tbody>\n</table>\n</section>\n\
         <section>\n<h2>Review</h2>\n<p class=dim>{}</p>\n{}</section>\n{explanation}",
        escape(title),
        escape(&report.headline()),
        escape(report.incident.name),
        escape(&report.started),
        facts.collect::<String>(),
        goals.collect::<String>(),
        broken.collect::<String>(),
        timeline.collect::<String>(),
        review::BLAMELESS,
        review.collect::<String>(),
    );
    page(&format!("Drill: {title}"), STYLE, &body)
}
