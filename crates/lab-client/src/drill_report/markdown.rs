//! The Markdown that texts of incidents and reviews use, as HTML: headings, lists, paragraphs, code, bold.
//!
//! The command line has no Markdown library: it has to build in seconds. What this does not know stays as it was typed.

use crate::html::escape;

/// What the lines so far belong to.
enum Part {
    Heading(String),
    Paragraph(String),
    /// A list, by its tag, with its items.
    List(&'static str, Vec<String>),
    Code(Vec<String>),
}

impl Part {
    fn to_html(&self) -> String {
        match self {
            Part::Heading(text) => format!("<h3>{}</h3>\n", inline(text)),
            Part::Paragraph(text) => format!("<p>{}</p>\n", inline(text)),
            Part::List(tag, items) => {
                let items: String = items.iter().map(|item| format!("<li>{}</li>\n", inline(item))).collect();
                format!("<{tag}>\n{items}</{tag}>\n")
            }
            Part::Code(lines) => format!("<pre><code>{}</code></pre>\n", escape(&lines.join("\n"))),
        }
    }
}

/// The HTML of a text, whose own HTML is only text.
pub(super) fn to_html(text: &str) -> String {
    let mut html = String::new();
    let mut open: Option<Part> = None;
    let mut close =
        |open: &mut Option<Part>| html += &open.take().map_or(String::new(), |part| part.to_html());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let words = line.trim();
        if words.starts_with("```") {
            close(&mut open);
            let code = lines.by_ref().take_while(|line| line.trim() != "```");
            open = Some(Part::Code(code.map(str::to_owned).collect()));
            close(&mut open);
        } else if words.is_empty() {
            close(&mut open);
        } else if let Some(heading) = words.strip_prefix('#') {
            close(&mut open);
            open = Some(Part::Heading(heading.trim_start_matches('#').trim().to_owned()));
            close(&mut open);
        } else if let Some((tag, item)) = item(words) {
            match &mut open {
                Some(Part::List(open, items)) if *open == tag => items.push(item.to_owned()),
                _ => {
                    close(&mut open);
                    open = Some(Part::List(tag, vec![item.to_owned()]));
                }
            }
        } else {
            match &mut open {
                Some(Part::Paragraph(text)) => *text += &format!(" {words}"),
                Some(Part::List(_, items)) => {
                    if let Some(item) = items.last_mut() {
                        *item += &format!(" {words}");
                    }
                }
                _ => open = Some(Part::Paragraph(words.to_owned())),
            }
        }
    }
    close(&mut open);
    html
}

/// The text for a terminal: its headings, bold words and links as words.
pub(super) fn plain(text: &str) -> String {
    let line = |line: &str| {
        let words = if line.starts_with('#') { line.trim_start_matches('#').trim_start() } else { line };
        without_links(&words.replace("**", ""))
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// The tag of the list that a line is an item of, and the item.
fn item(line: &str) -> Option<(&'static str, &str)> {
    if let Some(item) = line.strip_prefix("- ").or(line.strip_prefix("* ")) {
        return Some(("ul", item));
    }
    let (number, item) = line.split_once(". ")?;
    number.parse::<u8>().is_ok().then_some(("ol", item))
}

/// Bold, code and emphasis in a line. A link is its words: the page leads nowhere.
fn inline(text: &str) -> String {
    let words = |text: &str| between(&without_links(text), "*", "em", escape, escape);
    let with_code = |text: &str| between(text, "`", "code", words, escape);
    between(text, "**", "strong", with_code, with_code)
}

/// The text with what is between two marks in this element.
fn between(
    text: &str,
    mark: &str,
    tag: &str,
    outside: impl Fn(&str) -> String,
    inside: impl Fn(&str) -> String,
) -> String {
    let parts: Vec<&str> = text.split(mark).collect();
    let is_inside = |at: usize| at % 2 == 1;
    let is_marked = |(at, part): (usize, &&str)| !is_inside(at) || (!part.is_empty() && part.trim() == *part);
    if parts.len().is_multiple_of(2) || !parts.iter().enumerate().all(is_marked) {
        return outside(text);
    }
    let html = |(at, part): (usize, &&str)| match is_inside(at) {
        true => format!("<{tag}>{}</{tag}>", inside(part)),
        false => outside(part),
    };
    parts.iter().enumerate().map(html).collect()
}

fn without_links(text: &str) -> String {
    let mut rest = text;
    let mut words = String::new();
    while let Some((before, (link, after))) = link(rest) {
        words += before;
        words += link;
        rest = after;
    }
    words + rest
}

/// What is before the first link, its words, and what is after it.
fn link(text: &str) -> Option<(&str, (&str, &str))> {
    let (before, after) = text.split_once("](")?;
    let (before, words) = before.rsplit_once('[')?;
    let (_, after) = after.split_once(')')?;
    Some((before, (words, after)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_becomes_headings_paragraphs_lists_and_code() {
        let text = "### Why\nOne\n*two* `a * b < c * d`.\n\n- **first\n  line**\n- second\n\n1. one\n2. two\n\n```console\n$ x <y>\n\n- z\n```\nend";
        let html = "<h3>Why</h3>\n<p>One <em>two</em> <code>a * b &lt; c * d</code>.</p>\n<ul>\n<li><strong>first line</strong></li>\n<li>second</li>\n\
                    </ul>\n<ol>\n<li>one</li>\n<li>two</li>\n</ol>\n<pre><code>$ x &lt;y&gt;\n\n- z</code></pre>\n<p>end</p>\n";
        assert_eq!(to_html(text), html);
    }

    #[test]
    fn a_terminal_shows_words_without_marks() {
        let text =
            "### Why\n**The key** is `a`; see [the docs](https://docs.temporal.io).\n\n    $ # typed\n- one";
        assert_eq!(plain(text), "Why\nThe key is `a`; see the docs.\n\n    $ # typed\n- one");
    }

    #[test]
    fn what_it_does_not_know_stays_and_links_are_words() {
        let text = "<b>x</b> ** 2 * 3 * 4 ` see [the docs](https://docs.temporal.io), [and](x [y";
        let html = "<p>&lt;b&gt;x&lt;/b&gt; ** 2 * 3 * 4 ` see the docs, [and](x [y</p>\n";
        assert_eq!(to_html(text), html);
        assert_eq!(to_html("```\nnever closed"), "<pre><code>never closed</code></pre>\n");
    }
}
