//! Parses the parts of a Markdown file that the checks need: fenced blocks, headings, code spans, links.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, CowStr, Event, LinkType, Options, Parser, Tag, TagEnd};

/// A Markdown file.
pub(super) struct Markdown {
    /// Its path, relative to the project's folder.
    pub(super) file: String,
    source: String,
}

/// A line of a Markdown file, with its context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Its number, from 1.
    pub(super) number: usize,
    /// The info string of its fenced block. `None` outside fenced blocks.
    pub(super) block: Option<&'a str>,
    /// Its text; in a fenced block without the block's indentation.
    pub(super) text: &'a str,
}

impl Markdown {
    pub(super) fn new(file: String, source: String) -> Markdown {
        Markdown { file, source }
    }

    /// Its whole text.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// Its lines except the fences.
    pub(super) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let mut lines: Vec<_> = self.lines_in(0..self.source.len(), None).map(Some).collect();
        let mut block = None;
        for (event, range) in self.events() {
            match event {
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(CowStr::Borrowed(words)))) => {
                    block = Some(words);
                    // The block's text follows and fills everything except its fences.
                    for line in self.lines_in(range, block) {
                        lines[line.number - 1] = None;
                    }
                }
                Event::Text(_) if block.is_some() => {
                    for line in self.lines_in(range, block) {
                        lines[line.number - 1].get_or_insert(line);
                    }
                }
                Event::End(TagEnd::CodeBlock) => block = None,
                _ => {}
            }
        }
        lines.into_iter().flatten()
    }

    /// Its code spans, with the number of each one's first line.
    pub(super) fn spans(&self) -> Vec<(usize, String)> {
        let spans = self.events().filter_map(|(event, range)| match event {
            Event::Code(span) => {
                // The parser keeps the indentation of a span's second line, but Markdown does not.
                let words: Vec<&str> = span.split_whitespace().collect();
                Some((self.line_at(range.start), words.join(" ")))
            }
            _ => None,
        });
        spans.collect()
    }

    /// The targets of its links and images, with the number of each one's last line.
    pub(super) fn links(&self) -> Vec<(usize, String)> {
        let targets = self.events().filter_map(|(event, range)| match event {
            Event::Start(Tag::Link { link_type: LinkType::Email, .. }) => None,
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                Some((self.line_at(range.end), dest_url.into_string()))
            }
            _ => None,
        });
        targets.collect()
    }

    /// The anchors of its headings, as GitHub derives them.
    pub(super) fn anchors(&self) -> Vec<String> {
        let mut anchors = Vec::new();
        let mut words = String::new();
        for (event, _) in self.events() {
            match event {
                Event::Start(Tag::Heading { .. }) => words.clear(),
                Event::Text(text) | Event::Code(text) => words.push_str(&text),
                Event::End(TagEnd::Heading(_)) => anchors.push(anchor(&words)),
                _ => {}
            }
        }
        anchors
    }

    /// The parser's events, with their ranges in the source.
    fn events(&self) -> impl Iterator<Item = (Event<'_>, Range<usize>)> {
        Parser::new_ext(&self.source, Options::ENABLE_TABLES).into_offset_iter()
    }

    /// The lines of a range of the source.
    fn lines_in<'a>(&'a self, part: Range<usize>, block: Option<&'a str>) -> impl Iterator<Item = Line<'a>> {
        let first = self.line_at(part.start);
        self.source[part].lines().zip(first..).map(move |(text, number)| Line { number, block, text })
    }

    /// The number of the line at this byte of the source.
    fn line_at(&self, byte: usize) -> usize {
        self.source[..byte].matches('\n').count() + 1
    }
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn markdown(source: &str) -> Markdown {
        Markdown::new("x.md".to_owned(), source.to_owned())
    }

    #[test]
    fn lines_know_the_block_they_are_in() {
        let text = markdown("one\n```console\n$ two\n```\nthree\n");
        let lines: Vec<(usize, Option<&str>, &str)> =
            text.lines().map(|line| (line.number, line.block, line.text)).collect();
        assert_eq!(lines, [(1, None, "one"), (3, Some("console"), "$ two"), (5, None, "three")]);
    }

    #[test]
    fn spans_may_cover_two_lines_but_not_two_paragraphs() {
        let text = markdown("a `b c` d `e\n  f` g\n\n`open\n\n`h`\n```sh\n`i`\n```\n");
        let spans = [(1, "b c"), (1, "e f"), (6, "h")].map(|(line, span)| (line, span.to_owned()));
        assert_eq!(text.spans(), spans);
    }

    #[test]
    fn blocks_lose_the_indentation_of_their_list_and_may_hold_other_fences() {
        let text = markdown("- a\n  ~~~sh\n  b\n\n  ```\n  ~~~\n\n```rust\r\nc\r\n\r\nd");
        let lines = text.lines().filter_map(|line| Some((line.number, line.block?, line.text)));
        let expected = [
            (3, "sh", "b"),
            (4, "sh", ""),
            (5, "sh", "```"),
            (9, "rust", "c"),
            (10, "rust", ""),
            (11, "rust", "d"),
        ];
        assert_eq!(lines.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn spans_and_links_are_found_in_lists_quotes_and_tables() {
        let text = markdown(
            "- a `b\n  c` [d\n  e](f.md)\n\n> ``g ` h``\n> `i\n> j`\n\n\
             | k |\n| --- |\n| `l` [m](n.md) `o |\n\n<p@q.org>\n",
        );
        let spans = [(1, "b c"), (5, "g ` h"), (6, "i j"), (11, "l")];
        assert_eq!(text.spans(), spans.map(|(line, span)| (line, span.to_owned())));
        assert_eq!(text.links(), [(3, "f.md".to_owned()), (11, "n.md".to_owned())]);
    }

    #[test]
    fn links_and_anchors_are_found() {
        let text = markdown(
            "# Why `sh` — or not?\nsee [a](b.md#c) and [d](../e \"f\"), not `[g](h)`\n#no heading\n",
        );
        assert_eq!(text.links(), [(2, "b.md#c".to_owned()), (2, "../e".to_owned())]);
        assert_eq!(text.anchors(), ["why-sh--or-not"]);
    }
}
