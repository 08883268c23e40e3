//! Queries of lists, counts and batches, narrowed to a learner's own Workflows.

/// A query for what it is for on that Task Queue alone; nothing of one that could close the bracket around it.
pub(crate) fn narrowed(query: &str, task_queue: &str) -> Option<String> {
    let own = format!("TaskQueue=\"{task_queue}\"");
    // What groups and sorts comes after all conditions.
    let (conditions, rest) = split_off_rest(query)?;
    Some(match (conditions.trim(), rest.trim()) {
        ("", "") => own,
        ("", rest) => format!("{own} {rest}"),
        (conditions, "") => format!("{own} AND ({conditions})"),
        (conditions, rest) => format!("{own} AND ({conditions}) {rest}"),
    })
}

/// The conditions of a query, and its `GROUP BY` or `ORDER BY`, which may stand in no text. The service reads it as MySQL would, with
/// comments, in which a bracket or a quote does not count: there are none in conditions that come through.
pub(crate) fn split_off_rest(query: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    let mut open = 0_u32;
    let bytes = query.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Some(b'"' | b'\''), b'\\') => at += 1,
            (Some(sign), byte) if byte == sign => quote = None,
            (None, byte @ (b'"' | b'\'' | b'`')) => quote = Some(byte),
            (None, b'#' | b'-' | b'/' | b'@') if is_not_for_a_query(&bytes[at..]) => return None,
            (None, b'(') => open += 1,
            (None, b')') => open = open.checked_sub(1)?,
            (None, b'G' | b'g' | b'O' | b'o') if is_start_of_word(bytes, at) => {
                let rest = &query[at..];
                let mut words = rest.split_ascii_whitespace();
                let first = words.next().unwrap_or_default();
                let is_rest = first.eq_ignore_ascii_case("group") || first.eq_ignore_ascii_case("order");
                if is_rest && words.next().is_some_and(|word| word.eq_ignore_ascii_case("by")) {
                    return (open == 0).then(|| query.split_at(at));
                }
            }
            _ => {}
        }
        at += 1;
    }
    (open == 0 && quote.is_none()).then_some((query, ""))
}

/// Whether a comment begins there, or the name of a variable, in which a quote is a letter.
fn is_not_for_a_query(bytes: &[u8]) -> bool {
    [&b"#"[..], b"--", b"/*", b"//", b"@"].iter().any(|begin| bytes.starts_with(begin))
}

fn is_start_of_word(bytes: &[u8], at: usize) -> bool {
    at == 0 || bytes[at - 1].is_ascii_whitespace() || bytes[at - 1] == b')'
}

// Where it is from this file, since the fuzz target takes this one in by its path as well.
#[cfg(test)]
#[path = "query/brackets.rs"]
mod brackets;

#[cfg(test)]
mod tests {
    use super::{brackets::brackets, *};

    #[test]
    fn a_query_is_narrowed_to_the_learners_own() {
        let narrow = |query: &str| narrowed(query, "q").expect("it closes what it opens");
        assert_eq!(narrow(""), r#"TaskQueue="q""#);
        assert_eq!(narrow("A=1 OR B=2"), r#"TaskQueue="q" AND (A=1 OR B=2)"#);
        assert_eq!(
            narrow("A=1 OR B=2 GROUP BY ExecutionStatus"),
            r#"TaskQueue="q" AND (A=1 OR B=2) GROUP BY ExecutionStatus"#
        );
        assert_eq!(narrow("order by StartTime"), r#"TaskQueue="q" order by StartTime"#);
        // A text is a text, whatever stands in it.
        assert_eq!(
            narrow(r#"A=" GROUP BY \" ORDER BY " OR B=' order by '"#),
            r#"TaskQueue="q" AND (A=" GROUP BY \" ORDER BY " OR B=' order by ')"#
        );
    }

    #[test]
    fn nobody_can_close_the_bracket_around_a_query() {
        for query in ["A=1) OR (B=2", "(A=1", "A=1)", "A=\"1", "A='\\'", "A=1) GROUP BY ExecutionStatus"] {
            assert_eq!(narrowed(query, "q"), None, "{query}");
        }
        // What only seems to be in quotes, to who does not know of comments or takes a backslash for more than it is.
        for query in [
            "A=1 /*\"*/) OR (B=2 /*\"*/",
            "A=1 #\"\n) OR (B=2 #\"\n",
            "A=1 -- '\n) OR (B=2 -- '\n",
            "A=1 //'\n) OR (B=2 //'\n",
            "A LIKE \"x\" ESCAPE @@') OR (A LIKE \"x\" ESCAPE @@'",
            "`a\\`=1) OR (`b`=2 AND `\\`=3",
        ] {
            assert_eq!(narrowed(query, "q"), None, "{query}");
        }
        for query in ["(A=1 OR (B=')'))", "A='#' OR A=\"--\" OR A='/*' OR A=-1", "A BETWEEN 1-2 AND 4/2"] {
            assert!(narrowed(query, "q").is_some(), "{query}");
        }
    }

    #[test]
    fn what_comes_through_has_its_brackets_for_the_service_too() {
        let words = [
            "(",
            ")",
            "'",
            "\"",
            "`",
            "\\",
            "-",
            "--",
            "#",
            "/",
            "/*",
            "*/",
            "//",
            "@",
            "@@",
            "\n",
            " ",
            "A=1",
            "OR",
            "ü",
            " GROUP BY ",
            " order by ",
        ];
        let mut random = fastrand::Rng::with_seed(7);
        let mut through = 0;
        for _ in 0..300_000 {
            let length = random.usize(1..16);
            let query: String = (0..length).map(|_| words[random.usize(..words.len())]).collect();
            if let Some((conditions, _)) = split_off_rest(&query) {
                assert_eq!(brackets(conditions), Some((0, 0)), "{query:?}");
                through += usize::from(conditions.contains('('));
            }
        }
        assert!(through > 1_000, "only {through} had brackets, and came through");
    }
}
