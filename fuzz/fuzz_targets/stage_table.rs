//! The table of stages: names that somebody types or sends, and the texts, as `play` reads them and as the page shows them.

#![no_main]

use lab::{Block, STAGES};
use libfuzzer_sys::fuzz_target;

/// Every tag that a text may have become; further attributes there are none but those of links, buttons and tables.
const TAGS: [&str; 29] = [
    "a",
    "blockquote",
    "br",
    "button",
    "code",
    "del",
    "div",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "li",
    "ol",
    "p",
    "pre",
    "samp",
    "span",
    "strong",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
    "ul",
];

fuzz_target!(|text: &str| {
    if let Some(stage) = lab::stage(text) {
        assert!(STAGES.contains(stage));
    }
    let lines = text.lines().count();
    for block in lab::blocks(text) {
        let Block::Commands(commands) = block else { continue };
        assert!(commands.iter().all(|command| (1..=lines).contains(&command.line)));
        assert!(commands.is_sorted_by_key(|command| command.line));
    }
    assert!(lab::hints(text).len() <= lines);
    assert_is_harmless(&transfer_web::markdown::to_html(text).html);
});

/// Holds HTML to what a browser may be given: nothing that runs, and links to other sites or to parts of the page only.
fn assert_is_harmless(html: &str) {
    for (at, _) in html.match_indices('<') {
        let tag = &html[at + 1..];
        let tag = &tag[..tag.find('>').expect("a tag has an end")];
        let name = tag.trim_start_matches('/').split([' ', '\n', '/']).next().unwrap_or_default();
        assert!(TAGS.contains(&name) || tag == "!-- --", "<{tag}> in {html}");
        if name == "a" && !tag.starts_with('/') {
            let link = tag.split_once(" href=\"").expect("a link leads somewhere").1;
            assert!(["http://", "https://", "#"].iter().any(|begin| link.starts_with(begin)), "<{tag}>");
        }
        let outside_of_quotes = tag.split('"').step_by(2).collect::<String>().to_ascii_lowercase();
        assert!(!outside_of_quotes.contains(" on"), "<{tag}>");
    }
}
