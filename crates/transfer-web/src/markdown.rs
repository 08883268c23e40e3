//! Renders a stage's text as HTML for the page.
//!
//! HTML in a text is escaped, except folded answers, and a link is kept only if it leads to another site or to a part of the page.
//! A command gets a copy button if it works as it stands.

use std::fmt::Write;

use lab_client::html::escape;
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

use crate::placeholders::sample_ids;

/// The HTML that a text may have: answers that are folded away.
const FOLDED: [&str; 3] = ["<details>", "<summary>Answers</summary>", "</details>"];

/// A rendered text.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Html {
    /// The text of its first heading, without its number.
    pub title: String,
    /// The rest, without its hints.
    pub html: String,
}

/// Renders Markdown.
pub fn to_html(source: &str) -> Html {
    render(source, is_whole)
}

/// Renders the page form of a task, whose commands have this lab's values.
pub(crate) fn filled_to_html(source: &str) -> String {
    render(source, |_| true).html
}

fn render(source: &str, can_copy: fn(&str) -> bool) -> Html {
    let without_hints = source.split("\n## Hints\n").next().unwrap_or_default();
    let mut title = String::new();
    let mut events = Vec::new();
    let mut parser = Parser::new_ext(without_hints, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH);
    while let Some(event) = parser.next() {
        match event {
            Event::Start(Tag::Heading { level: HeadingLevel::H1, .. }) => {
                title = words_until(&mut parser, |end| matches!(end, TagEnd::Heading(_)));
            }
            // One level down, below the page's own headings.
            Event::Start(Tag::Heading { level, id, classes, attrs }) => {
                events.push(Event::Start(Tag::Heading { level: below(level), id, classes, attrs }));
            }
            Event::End(TagEnd::Heading(level)) => events.push(Event::End(TagEnd::Heading(below(level)))),
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) if &*language == "console" => {
                let block = words_until(&mut parser, |end| matches!(end, TagEnd::CodeBlock));
                events.push(Event::Html(commands(&block, can_copy).into()));
            }
            Event::Html(html) if FOLDED.contains(&html.trim()) => events.push(Event::Html(html)),
            // Comments are directives for `play`. Other HTML is escaped.
            Event::Html(html) | Event::InlineHtml(html) => {
                if !html.trim_start().starts_with("<!--") {
                    events.push(Event::Text(html));
                }
            }
            Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => {}
            Event::Start(Tag::Link { ref dest_url, .. }) if !is_external(dest_url) && !is_part(dest_url) => {
                // A link to another file of the project, which the page does not serve.
                let words = words_until(&mut parser, |end| matches!(end, TagEnd::Link));
                events.push(Event::Text(words.into()));
            }
            other => events.push(other),
        }
    }
    let mut text = String::new();
    html::push_html(&mut text, events.into_iter());
    // Links to other sites open in a new tab.
    let text = text.replace("<a href=\"http", "<a target=\"_blank\" rel=\"noopener noreferrer\" href=\"http");
    let number = title.split_once(". ").filter(|(number, _)| number.parse::<u8>().is_ok());
    let title = number.map_or(title.clone(), |(_, title)| title.to_owned());
    Html { title, html: text }
}

fn is_external(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

/// Whether a link leads to a part of the page: `#id`.
fn is_part(url: &str) -> bool {
    let id = url.strip_prefix('#').unwrap_or_default();
    !id.is_empty() && id.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b'-')
}

fn below(level: HeadingLevel) -> HeadingLevel {
    match level {
        HeadingLevel::H1 | HeadingLevel::H2 => HeadingLevel::H3,
        _ => HeadingLevel::H4,
    }
}

/// The plain text up to this end tag.
fn words_until<'a>(parser: &mut impl Iterator<Item = Event<'a>>, is_end: fn(&TagEnd) -> bool) -> String {
    let mut words = String::new();
    for event in parser {
        match event {
            Event::End(end) if is_end(&end) => break,
            Event::Text(text) | Event::Code(text) => words.push_str(&text),
            Event::SoftBreak | Event::HardBreak => words.push(' '),
            _ => {}
        }
    }
    words
}

/// Whether a command works as it stands: in the lab's checkout, with no sample id and nothing left to fill in.
pub(crate) fn is_whole(typed: &str) -> bool {
    typed.starts_with("cargo xtask ") && !typed.contains(['…', '{']) && sample_ids(typed).is_empty()
}

/// A command, with a copy button if it can be copied.
pub(crate) fn command(typed: &str, can_copy: bool) -> String {
    let typed = escape(typed);
    let copy = match can_copy {
        true => format!("<button type=\"button\" class=\"copy\" data-copy=\"{typed}\">Copy</button>"),
        false => String::new(),
    };
    format!("<div class=\"command\"><code>{typed}</code>{copy}</div>\n")
}

/// A block of commands and their output.
fn commands(block: &str, can_copy: fn(&str) -> bool) -> String {
    let mut html = "<div class=\"commands\">\n".to_owned();
    let mut lines = block.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(typed) = line.strip_prefix("$ ") {
            let mut typed = typed.to_owned();
            // A backslash continues a command on the next line.
            while typed.ends_with('\\') {
                let Some(rest) = lines.next() else { break };
                typed.pop();
                typed.push_str(rest.trim_start());
            }
            html.push_str(&command(&typed, can_copy(&typed)));
        } else {
            let mut output = escape(line);
            while let Some(more) = lines.next_if(|line| !line.starts_with("$ ")) {
                output.push('\n');
                output.push_str(&escape(more));
            }
            let _ = writeln!(html, "<pre class=\"output\">{output}</pre>");
        }
    }
    html.push_str("</div>\n");
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_get_a_button_and_their_output_is_apart() {
        let html = to_html(
            "# 1. A bug\n\n```console\n$ cargo xtask a \\\n    --b \"c\"\nprints <1>\nand 2\n$ next\n```\n",
        );
        assert_eq!(html.title, "A bug");
        let command = "<code>cargo xtask a --b &quot;c&quot;</code><button type=\"button\" class=\"copy\" \
                       data-copy=\"cargo xtask a --b &quot;c&quot;\">";
        assert!(html.html.contains(command), "{}", html.html);
        assert!(html.html.contains("<pre class=\"output\">prints &lt;1&gt;\nand 2</pre>"), "{}", html.html);
        assert!(html.html.contains("<code>next</code>"), "{}", html.html);
    }

    #[test]
    fn only_a_whole_command_can_be_copied() {
        let sample = "cargo xtask temporal workflow show --workflow-id transfer-1795354421-c0000001";
        for typed in ["cargo xtask logs …", "temporal workflow list", "kill -9 12", sample] {
            let html = to_html(&format!("```console\n$ {typed}\n```\n")).html;
            assert!(html.contains("<code>") && !html.contains("<button"), "{html}");
        }
        let html = filled_to_html(&format!("[it](#submit)\n\n```console\n$ {sample}\n```\n"));
        assert!(html.contains(&format!("data-copy=\"{sample}\"")), "{html}");
        assert!(html.contains("<a href=\"#submit\">it</a>"), "{html}");
    }

    #[test]
    fn html_in_a_text_is_text_and_its_marks_are_not_shown() {
        let html =
            to_html("a <script>alert(1)</script>\n\n<!-- fix -->\n\n<img src=x onerror=alert(1)>\n").html;
        assert!(!html.contains("<script") && !html.contains("<img") && !html.contains("fix"), "{html}");
        assert!(html.contains("&lt;script&gt;"), "{html}");
    }

    #[test]
    fn answers_are_folded_and_nothing_else_is_html() {
        let html = to_html("<details>\n<summary>Answers</summary>\n\n- One\n\n</details>\n").html;
        assert!(html.starts_with("<details>\n<summary>Answers</summary>\n<ul>"), "{html}");
        assert!(html.trim_end().ends_with("</details>"), "{html}");
        let html = to_html("<details onclick=alert(1)>\n<summary>Other</summary>\n").html;
        assert!(!html.contains("<details") && !html.contains("<summary"), "{html}");
    }

    #[test]
    fn a_link_leads_to_another_site_or_nowhere() {
        let html = to_html("[docs](https://example.com/a) [file](../docs/x.md) [bad](javascript:alert(1)) ![i](http://x/y.png)").html;
        assert!(html.contains("rel=\"noopener noreferrer\" href=\"https://example.com/a\""), "{html}");
        for part in ["x.md", "javascript", "<img"] {
            assert!(!html.contains(part), "{html}");
        }
        assert!(html.contains("file"), "{html}");
    }

    #[test]
    fn every_text_of_the_lab_is_shown_without_its_hints() {
        for stage in lab::STAGES {
            let Html { title, html } = to_html(stage.text.source);
            assert!(!title.is_empty() && !title.contains('.'), "{title}");
            assert!(html.contains("class=\"command\""), "{}", stage.name);
            assert!(!html.contains("Hints") && !html.contains("<!--"), "{}", stage.name);
            for hint in stage.text.hints() {
                assert!(!to_html(&hint).html.is_empty());
            }
        }
    }
}
