//! The little of Markdown that is looked at: fenced blocks, headings, spans of code, links.

/// A Markdown file.
pub(super) struct Markdown {
    /// Relative to the project's folder.
    pub(super) file: String,
    source: String,
}

/// A line of a Markdown file, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// The first is 1.
    pub(super) number: usize,
    /// What kind of block it is in: the words after its fence. `None` for a line of prose.
    pub(super) block: Option<&'a str>,
    /// What it says.
    pub(super) text: &'a str,
}

impl Markdown {
    pub(super) fn new(file: String, source: String) -> Markdown {
        Markdown { file, source }
    }

    /// All that it says.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// Its lines but for the fences.
    pub(super) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        // The fence that opened a block, and the words after it. Only one as long closes it.
        let mut open: Option<(usize, &str)> = None;
        self.source.lines().enumerate().filter_map(move |(at, text)| {
            let begin = text.trim_start();
            let words = begin.trim_start_matches('`');
            let fence = begin.len() - words.len();
            match open {
                None if fence >= 3 => open = Some((fence, words.trim())),
                Some((length, _)) if fence >= length && words.trim().is_empty() => open = None,
                _ => return Some(Line { number: at + 1, block: open.map(|(_, words)| words), text }),
            }
            None
        })
    }

    /// Spans of code in its prose, with the number of the line that each begins on.
    pub(super) fn spans(&self) -> Vec<(usize, String)> {
        let mut spans = Vec::new();
        for paragraph in self.paragraphs() {
            let mut begun: Option<(usize, String)> = None;
            for line in paragraph {
                for (at, part) in line.text.split('`').enumerate() {
                    if at > 0 {
                        match begun.take() {
                            Some(span) => spans.push(span),
                            None => begun = Some((line.number, String::new())),
                        }
                    }
                    if let Some((_, span)) = &mut begun {
                        span.push_str(if at == 0 { part.trim_start() } else { part });
                    }
                }
                // A span goes on in the next line.
                if let Some((_, span)) = &mut begun {
                    span.push(' ');
                }
            }
        }
        spans
    }

    /// The targets of its links, with the number of the line that each is on.
    pub(super) fn links(&self) -> Vec<(usize, String)> {
        let prose = self.lines().filter(|line| line.block.is_none());
        let targets = prose.flat_map(|line| {
            let text = without_spans(line.text);
            let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
            targets.map(|target| (line.number, target.to_owned())).collect::<Vec<_>>()
        });
        targets.collect()
    }

    /// What a link names its headings by, as GitHub makes it of their words.
    pub(super) fn anchors(&self) -> Vec<String> {
        let prose = self.lines().filter(|line| line.block.is_none());
        let headings = prose.filter_map(|line| {
            let heading = line.text.trim_start_matches('#');
            (heading.len() < line.text.len() && heading.starts_with(' ')).then(|| heading.trim())
        });
        headings.map(anchor).collect()
    }

    /// Its prose, in paragraphs: a span of code never goes beyond one.
    fn paragraphs(&self) -> Vec<Vec<Line<'_>>> {
        let mut paragraphs = vec![Vec::new()];
        let mut last = 0;
        for line in self.lines().filter(|line| line.block.is_none()) {
            if line.text.trim().is_empty() || line.number != last + 1 {
                paragraphs.push(Vec::new());
            }
            last = line.number;
            paragraphs.last_mut().into_iter().for_each(|paragraph| paragraph.push(line));
        }
        paragraphs
    }
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn without_spans(line: &str) -> String {
    line.split('`').step_by(2).collect()
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
    fn spans_are_found_also_over_two_lines_and_never_beyond_a_paragraph() {
        let text = markdown("a `b c` d `e\n  f` g\n\n`open\n\n`h`\n```sh\n`i`\n```\n");
        let spans = [(1, "b c"), (1, "e f"), (6, "h")].map(|(line, span)| (line, span.to_owned()));
        assert_eq!(text.spans(), spans);
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
