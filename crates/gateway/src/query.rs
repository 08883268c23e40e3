//! Narrows queries of lists, counts and batches to a learner's own Workflows.

/// The query, narrowed to a Task Queue. None if it has unbalanced quotes or parentheses, or a comment that could hide them: it could
/// close the parenthesis around it.
pub(crate) fn narrowed(query: &str, task_queue: &str) -> Option<String> {
    let plain = without_texts(query)?;
    if NOT_FOR_A_QUERY.iter().any(|sign| plain.contains(sign)) {
        return None;
    }
    // Grouping and sorting come after all conditions.
    let end = end_of_conditions(&plain);
    if !is_balanced(&plain[..end]) {
        return None;
    }
    let own = format!("TaskQueue=\"{task_queue}\"");
    let (conditions, rest) = query.split_at(end);
    Some(match (conditions.trim(), rest.trim()) {
        ("", "") => own,
        ("", rest) => format!("{own} {rest}"),
        (conditions, "") => format!("{own} AND ({conditions})"),
        (conditions, rest) => format!("{own} AND ({conditions}) {rest}"),
    })
}

/// What starts a comment for the service, which parses queries like MySQL; and a variable, whose name may contain quotes.
const NOT_FOR_A_QUERY: [&str; 5] = ["#", "--", "/*", "//", "@"];

/// The query with its strings and quoted names replaced by spaces, which keeps all positions. None if one is not closed.
fn without_texts(query: &str) -> Option<String> {
    let mut plain = String::with_capacity(query.len());
    let (mut quote, mut escaped) = (None, false);
    for c in query.chars() {
        let was_quoted = quote.is_some();
        match quote {
            _ if escaped => escaped = false,
            Some('"' | '\'') if c == '\\' => escaped = true,
            Some(sign) if c == sign => quote = None,
            None if matches!(c, '"' | '\'' | '`') => quote = Some(c),
            _ => {}
        }
        match was_quoted || quote.is_some() {
            true => plain.extend(std::iter::repeat_n(' ', c.len_utf8())),
            false => plain.push(c),
        }
    }
    quote.is_none().then_some(plain)
}

fn is_balanced(conditions: &str) -> bool {
    let mut open = 0_i32;
    let never_below = conditions.chars().all(|c| {
        open += i32::from(c == '(') - i32::from(c == ')');
        open >= 0
    });
    never_below && open == 0
}

/// The position of `GROUP BY` or `ORDER BY`, or the end of the query.
fn end_of_conditions(plain: &str) -> usize {
    let is_end = |at: usize| {
        let is_start_of_word =
            at == 0 || plain[..at].ends_with(|c: char| c.is_ascii_whitespace() || c == ')');
        if !is_start_of_word {
            return false;
        }
        let mut words = plain[at..].split_ascii_whitespace();
        let first = words.next().unwrap_or_default();
        (first.eq_ignore_ascii_case("group") || first.eq_ignore_ascii_case("order"))
            && words.next().is_some_and(|word| word.eq_ignore_ascii_case("by"))
    };
    // Not in the spaces before the word, which may replace a string.
    let words = plain.char_indices().filter(|(_, c)| !c.is_whitespace());
    words.map(|(at, _)| at).find(|&at| is_end(at)).unwrap_or(plain.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_narrowed_to_the_learners_own() {
        let narrow = |query: &str| narrowed(query, "q").expect("it closes what it opens");
        assert_eq!(narrow(""), r#"TaskQueue="q""#);
        assert_eq!(narrow("A=1 OR B=2"), r#"TaskQueue="q" AND (A=1 OR B=2)"#);
        assert_eq!(
            narrow("A=1 OR B=2 GROUP BY ExecutionStatus"),
            r#"TaskQueue="q" AND (A=1 OR B=2) GROUP BY ExecutionStatus"#
        );
        // The lab's count of transfers by status.
        assert_eq!(
            narrow(r#"A="1" GROUP BY ExecutionStatus"#),
            r#"TaskQueue="q" AND (A="1") GROUP BY ExecutionStatus"#
        );
        assert_eq!(narrow("order by StartTime"), r#"TaskQueue="q" order by StartTime"#);
        // Keywords inside strings do not count.
        assert_eq!(
            narrow(r#"A=" GROUP BY \" ORDER BY " OR B=' order by '"#),
            r#"TaskQueue="q" AND (A=" GROUP BY \" ORDER BY " OR B=' order by ')"#
        );
    }

    #[test]
    fn a_comment_or_an_unbalanced_bracket_does_not_reach_other_learners_transfers() {
        for query in ["A=1) OR (B=2", "(A=1", "A=1)", "A=\"1", "A='\\'", "A=1) GROUP BY ExecutionStatus"] {
            assert_eq!(narrowed(query, "q"), None, "{query}");
        }
        // These only look quoted if one ignores comments or misreads backslashes.
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
}
