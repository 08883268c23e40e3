//! Texts that others wrote, cut to size.

use serde_json::Value;

/// The longest name of a stage.
pub(super) const LONGEST_STAGE: usize = 40;

/// A text of JSON as one line.
pub(super) fn line(value: &Value, most: usize) -> String {
    clean(value.as_str().unwrap_or_default(), most)
}

/// A text as one line of limited length, without control characters and without characters that change the text direction.
pub fn clean(text: &str, most: usize) -> String {
    let obeyed = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let spaced: String = text.chars().map(|c| if obeyed(c) { ' ' } else { c }).collect();
    let words = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.chars().count() <= most {
        return words;
    }
    words.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_to_its_longest_length() {
        assert_eq!((clean("äöüß", 3), clean("äöü", 3)), ("äö…".to_owned(), "äöü".to_owned()));
    }
}
