//! What a query is to who reads it, written from another side: for what tests it, and for what fuzzes it.

/// How a service reads the brackets of conditions, as MySQL's words go: the least that are open anywhere, and at the end; none where a
/// text or a comment goes on beyond it.
pub(crate) fn brackets(conditions: &str) -> Option<(i32, i32)> {
    let (mut least, mut open) = (0, 0);
    let mut rest = conditions;
    while let Some(first) = rest.chars().next() {
        let behind = &rest[first.len_utf8()..];
        rest = match first {
            '#' => behind.split_once('\n')?.1,
            '-' | '/' if behind.starts_with(first) => behind.split_once('\n')?.1,
            '/' if behind.starts_with('*') => behind[1..].split_once("*/")?.1,
            '@' => behind.trim_start_matches(|c: char| c.is_alphanumeric() || "@'\"`._".contains(c)),
            '`' => behind.split_once('`')?.1,
            '"' | '\'' => {
                let mut escaped = false;
                let is_end = |(_, c): &(usize, char)| {
                    let is_end = *c == first && !escaped;
                    escaped = *c == '\\' && !escaped;
                    is_end
                };
                let (at, _) = behind.char_indices().find(is_end)?;
                &behind[at + 1..]
            }
            bracket => {
                open += i32::from(bracket == '(') - i32::from(bracket == ')');
                least = least.min(open);
                behind
            }
        };
    }
    Some((least, open))
}
