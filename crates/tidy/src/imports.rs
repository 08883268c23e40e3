//! Finds the paths of its own crate in a Rust source, with a minimal parser.

use std::collections::BTreeSet;

/// The definitions and paths of a source, without its tests.
#[derive(Debug, Default)]
pub(super) struct Imports {
    /// The paths in it, each with the inline modules around it.
    pub(super) paths: Vec<(Vec<String>, Target)>,
    /// Those of its `use`s.
    pub(super) uses: Vec<(Vec<String>, Target)>,
    /// The names it defines.
    pub(super) items: BTreeSet<String>,
}

/// A path, and its local name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) path: Vec<String>,
    pub(super) name: String,
}

/// The keywords before a definition's name.
const DEFINES: [&str; 9] = ["const", "enum", "fn", "mod", "static", "struct", "trait", "type", "union"];

impl Imports {
    /// Parses a source.
    pub(super) fn read(source: &str) -> Imports {
        let tokens = tokens(source);
        let mut imports = Imports::default();
        // The open inline modules, and for each open brace whether it is a module's.
        let mut inside: Vec<String> = Vec::new();
        let mut braces: Vec<bool> = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            let next = |offset: usize| tokens.get(at + offset).map_or("", String::as_str);
            match tokens[at].as_str() {
                "#" if is_for_tests(&tokens[at..]) => {
                    at = end_of_item(&tokens, at);
                    continue;
                }
                "mod" if next(2) == "{" => {
                    inside.push(next(1).to_owned());
                    braces.push(true);
                    at += 2;
                }
                "use" => {
                    let end = end_of(&tokens, at, ";");
                    let mut found = Vec::new();
                    read_use(&[], &tokens[at + 1..end], &mut found);
                    imports.uses.extend(found.iter().cloned().map(|target| (inside.clone(), target)));
                    imports.paths.extend(found.into_iter().map(|target| (inside.clone(), target)));
                    at = end;
                }
                // `pub(in crate::x)` is a visibility, not an import.
                "in" if at > 0 && tokens[at - 1] == "(" => at = end_of(&tokens, at, ")"),
                "{" => braces.push(false),
                "}" if braces.pop() == Some(true) => drop(inside.pop()),
                word if DEFINES.contains(&word) && is_word(next(1)) => {
                    imports.items.insert(next(1).to_owned());
                }
                "macro_rules" => {
                    imports.items.insert(next(2).to_owned());
                }
                word if is_word(word) && next(1) == "::" && (at == 0 || tokens[at - 1] != "::") => {
                    let mut path = vec![word.to_owned()];
                    while tokens.get(at + 1).is_some_and(|token| token == "::")
                        && tokens.get(at + 2).is_some_and(|token| is_word(token))
                    {
                        at += 2;
                        path.push(tokens[at].clone());
                    }
                    let name = path.last().cloned().unwrap_or_default();
                    imports.paths.push((inside.clone(), Target { path, name }));
                }
                _ => {}
            }
            at += 1;
        }
        imports
    }
}

/// Flattens the tree of a `use`: `a::{b, c::d as e}` is `a::b` and `a::c::d`, with the local name `e`.
fn read_use(before: &[String], tokens: &[String], found: &mut Vec<Target>) {
    let mut path = before.to_vec();
    let mut at = 0;
    while at < tokens.len() {
        match tokens[at].as_str() {
            "{" => {
                let end = closing(tokens, at);
                for part in split(&tokens[at + 1..end]) {
                    read_use(&path, part, found);
                }
                return;
            }
            "as" => {
                let name = tokens.get(at + 1).cloned().unwrap_or_default();
                found.push(Target { path, name });
                return;
            }
            "::" => {}
            // `a::{self}` is `a`.
            "self" if !path.is_empty() => {}
            word => path.push(word.to_owned()),
        }
        at += 1;
    }
    let Some(name) = path.last().cloned() else { return };
    if name == "*" {
        path.pop();
    }
    found.push(Target { path, name });
}

/// The parts between commas outside braces.
fn split(tokens: &[String]) -> Vec<&[String]> {
    let mut depth = 0;
    let parts = tokens.split(|token| {
        match token.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        token == "," && depth == 0
    });
    parts.filter(|part| !part.is_empty()).collect()
}

/// Whether a `#[cfg(test)]` starts here.
fn is_for_tests(tokens: &[String]) -> bool {
    let begins = tokens.len() > 3 && tokens[1] == "[" && tokens[2] == "cfg";
    let end = closing(tokens, 1);
    begins
        && tokens[..end].iter().any(|word| word == "test")
        && !tokens[..end].iter().any(|word| word == "not")
}

/// The position after the item of the attribute here.
fn end_of_item(tokens: &[String], mut at: usize) -> usize {
    while tokens.get(at).is_some_and(|token| token == "#") {
        at = closing(tokens, at + 1) + 1;
    }
    // The braces of a `use` do not end it.
    let is_use = tokens[at..].iter().take_while(|token| *token != ";" && *token != "{").any(|it| it == "use");
    while at < tokens.len() {
        match tokens[at].as_str() {
            ";" => return at + 1,
            "{" if !is_use => return closing(tokens, at) + 1,
            "(" | "[" | "{" => at = closing(tokens, at),
            _ => {}
        }
        at += 1;
    }
    at
}

/// The position of the closing bracket for the one here.
fn closing(tokens: &[String], at: usize) -> usize {
    let mut depth = 0;
    for (place, token) in tokens.iter().enumerate().skip(at) {
        match token.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" if depth == 1 => return place,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
    }
    tokens.len()
}

/// The position of the next of these tokens.
fn end_of(tokens: &[String], at: usize, token: &str) -> usize {
    tokens.iter().skip(at).position(|it| it == token).map_or(tokens.len(), |distance| at + distance)
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The words and symbols of a source, without comments, strings, characters, numbers and lifetimes.
fn tokens(source: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = string(rest) {
            length
        } else if first == '\'' {
            quote(rest)
        } else if first.is_alphanumeric() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            if is_word(rest) {
                tokens.push(rest[..end].to_owned());
            }
            end
        } else if rest.starts_with("::") {
            tokens.push("::".to_owned());
            2
        } else {
            if !first.is_whitespace() {
                tokens.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

/// The length of the string that starts here, if any.
fn string(text: &str) -> Option<usize> {
    let begin = text.trim_start_matches(['b', 'c']);
    let prefix = text.len() - begin.len();
    if prefix > 1 {
        return None;
    }
    if let Some(raw) = begin.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        raw[hashes..].strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        let inside = &raw[hashes + 1..];
        let length = inside.find(&end).map_or(inside.len(), |at| at + end.len());
        return Some(prefix + 1 + hashes + 1 + length);
    }
    let inside = begin.strip_prefix('"')?;
    let mut escaped = false;
    for (at, c) in inside.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(prefix + 1 + at + 1),
            _ => {}
        }
    }
    Some(text.len())
}

/// The length of the character or lifetime that starts here.
fn quote(text: &str) -> usize {
    let inside = &text[1..];
    if let Some(escape) = inside.strip_prefix('\\') {
        let escaped = escape.chars().next().map_or(0, char::len_utf8);
        return escape[escaped..].find('\'').map_or(text.len(), |at| 2 + escaped + at + 1);
    }
    let length = inside.chars().next().map_or(0, char::len_utf8);
    if inside[length..].starts_with('\'') {
        return 1 + length + 1;
    }
    let end = inside.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(inside.len());
    1 + end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_skipped() {
        let source =
            "a /* b */ \"c \\\" d\" r#\"e \" f\"# b'g' '\\'' '\\u{1}' 'h: &'static i // j\nk::l 10u8 m";
        assert_eq!(tokens(source).join(" "), "a b : & i k :: l m");
    }
}
