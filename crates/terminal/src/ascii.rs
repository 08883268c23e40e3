//! The characters that the lab writes beside ASCII, for a locale that has no others.

use std::{borrow::Cow, env, ffi::OsString, sync::OnceLock};

/// These characters, and what stands for them.
const CHARACTERS: [(char, &str); 13] = [
    ('…', "..."),
    ('→', "->"),
    ('×', "x"),
    ('•', "*"),
    ('–', "-"),
    ('—', "-"),
    ('─', "-"),
    ('│', "|"),
    ('’', "'"),
    ('‘', "'"),
    ('“', "\""),
    ('”', "\""),
    ('\u{a0}', " "),
];

/// The text as this user's terminal can show it. JSON is for programs, and stays as it is.
pub(crate) fn for_locale(text: &str) -> Cow<'_, str> {
    static IS_ASCII: OnceLock<bool> = OnceLock::new();
    let is_ascii = *IS_ASCII.get_or_init(|| is_ascii(|name| env::var_os(name)));
    if !is_ascii || text.is_ascii() || text.starts_with('{') { text.into() } else { to_ascii(text).into() }
}

/// Whether the locale has only ASCII: the first of these variables that is set decides. Without any, it is C, as in most containers:
/// what reads that mostly shows UTF-8.
fn is_ascii(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let mut set =
        ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(variable).filter(|value| !value.is_empty());
    set.next().is_some_and(|locale| locale == "C" || locale == "POSIX")
}

fn to_ascii(text: &str) -> String {
    CHARACTERS.iter().fold(text.to_owned(), |text, (character, ascii)| text.replace(*character, ascii))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_variable_that_is_set_decides() {
        let of = |set: &[(&str, &str)]| {
            is_ascii(|name| {
                set.iter().find(|(variable, _)| *variable == name).map(|(_, value)| OsString::from(value))
            })
        };
        for set in [
            &[("LC_ALL", "POSIX")][..],
            &[("LANG", "C")],
            &[("LC_ALL", ""), ("LC_CTYPE", "C"), ("LANG", "de_DE.UTF-8")],
        ] {
            assert!(of(set), "{set:?}");
        }
        for set in [&[][..], &[("LANG", "C.UTF-8")], &[("LC_ALL", "en_US.UTF-8"), ("LANG", "C")]] {
            assert!(!of(set), "{set:?}");
        }
    }

    #[test]
    fn only_the_labs_own_characters_are_replaced() {
        assert_eq!(to_ascii("a → b… — “c” ä"), "a -> b... - \"c\" ä");
    }
}
