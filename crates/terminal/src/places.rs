//! A file and line as a hyperlink (OSC 8) to the learner's editor, in terminals that support it.

use std::{
    borrow::Cow,
    env,
    ffi::OsString,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// The terminals, by `TERM_PROGRAM` and by `TERM`, that show a hyperlink instead of its escape sequence. The list is that of the
/// crate supports-hyperlinks, which cargo uses.
const PROGRAMS: [&str; 7] = ["Hyper", "iTerm.app", "terminology", "WezTerm", "vscode", "ghostty", "zed"];
const TERMS: [&str; 4] = ["xterm-kitty", "alacritty", "alacritty-direct", "xterm-ghostty"];
/// Where a place begins and where its file ends.
const START: &str = "crates/";
const END: &str = ".rs:";

/// How places become links, once the checkout is known.
static LINKS: OnceLock<Links> = OnceLock::new();

/// Has the lines that are printed from now on link the files of this checkout, if this terminal supports that.
pub(crate) fn link(root: &Path) {
    let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    if is_supported(variable) {
        let template = variable("EDITOR_URL").and_then(|template| template.into_string().ok());
        let _ = LINKS.set(Links { root: root.to_owned(), template, wsl: env::var("WSL_DISTRO_NAME").ok() });
    }
}

/// The lines with their places as links.
pub(crate) fn linked(text: &str, is_terminal: bool) -> Cow<'_, str> {
    match LINKS.get().filter(|_| is_terminal) {
        Some(links) => links.add_to(text),
        None => text.into(),
    }
}

/// The same for standard error, which may be a terminal or not apart from standard output.
pub(crate) fn linked_on_stderr(text: &str) -> Cow<'_, str> {
    linked(text, io::stderr().is_terminal())
}

fn is_supported(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let text = |name: &str| variable(name).and_then(|value| value.into_string().ok()).unwrap_or_default();
    if let Some(forced) = variable("FORCE_HYPERLINK") {
        return forced != "0";
    }
    PROGRAMS.contains(&&*text("TERM_PROGRAM"))
        || TERMS.contains(&&*text("TERM"))
        || ["DOMTERM", "WT_SESSION", "KONSOLE_VERSION"].iter().any(|name| variable(name).is_some())
        || text("VTE_VERSION").parse().is_ok_and(|version: u32| version >= 5000)
        || text("COLORTERM") == "xfce4-terminal"
}

struct Links {
    root: PathBuf,
    /// The learner's EDITOR_URL.
    template: Option<String>,
    /// The distribution's name in WSL, where the terminal is a program of Windows.
    wsl: Option<String>,
}

impl Links {
    fn add_to<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !text.contains(END) || text.starts_with('{') {
            return text.into();
        }
        let mut linked = String::new();
        let mut rest = text;
        while let Some(place) = rest.find(START) {
            let (before, from) = rest.split_at(place);
            linked.push_str(before);
            // A longer path, such as a cached copy's, is another file.
            let begins = !before.ends_with(|last: char| last == '/' || last == '_' || last.is_alphanumeric());
            let length = parse(from).filter(|_| begins);
            match length {
                Some((file, line, column, length)) => {
                    let url = self.url(file, line, column);
                    linked.push_str(&format!("\x1b]8;;{url}\x1b\\{}\x1b]8;;\x1b\\", &from[..length]));
                    rest = &from[length..];
                }
                None => {
                    linked.push_str(START);
                    rest = &from[START.len()..];
                }
            }
        }
        linked.push_str(rest);
        linked.into()
    }

    fn url(&self, file: &str, line: &str, column: &str) -> String {
        let path = escaped(&self.root.join(file).to_string_lossy());
        match (&self.template, &self.wsl) {
            (Some(template), _) => {
                let url =
                    template.replace("{path}", &path).replace("{line}", line).replace("{column}", column);
                // Nothing in it may end the escape sequence.
                url.chars().filter(|character| !character.is_control()).collect()
            }
            (None, Some(distribution)) => format!("file://wsl.localhost/{}{path}", escaped(distribution)),
            (None, None) => format!("file://{path}"),
        }
    }
}

/// The file, line and column that this text begins with, and the length of all that.
fn parse(text: &str) -> Option<(&str, &str, &str, usize)> {
    let end = text.find(END)? + END.len() - 1;
    let file = &text[..end];
    let is_path = file.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let line = &text[end + 1..];
    let line = &line[..digits(line)];
    if !is_path || line.is_empty() {
        return None;
    }
    let end = end + 1 + line.len();
    let column = text[end..].strip_prefix(':').map_or("", |column| &column[..digits(column)]);
    let length = if column.is_empty() { end } else { end + 1 + column.len() };
    Some((file, line, if column.is_empty() { "1" } else { column }, length))
}

/// A path with what a URL needs escaped.
fn escaped(path: &str) -> String {
    let escape = |byte: u8| match byte {
        b'/' | b'.' | b'-' | b'_' | b'~' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    path.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(template: Option<&str>, wsl: Option<&str>) -> Links {
        Links {
            root: "/home/ada/bug lab".into(),
            template: template.map(str::to_owned),
            wsl: wsl.map(str::to_owned),
        }
    }

    #[test]
    fn a_place_becomes_a_link_and_the_text_stays_the_same() {
        let text =
            "divide by zero, at crates/worker/src/workflow.rs:57:9; see crates/worker/src/activities.rs:3";
        let linked = links(None, None).add_to(text).into_owned();
        let path = "file:///home/ada/bug%20lab/crates/worker/src";
        assert_eq!(
            linked,
            format!(
                "divide by zero, at \x1b]8;;{path}/workflow.rs\x1b\\crates/worker/src/workflow.rs:57:9\x1b]8;;\x1b\\; see \
                 \x1b]8;;{path}/activities.rs\x1b\\crates/worker/src/activities.rs:3\x1b]8;;\x1b\\"
            )
        );
        for plain in [
            "crates/worker/src/workflow.rs",
            "/x/crates/a/b.rs:1:2",
            "crates/ and .rs:1",
            "{\"a\": \"crates/a/b.rs:1:2\"}",
        ] {
            assert_eq!(links(None, None).add_to(plain), plain);
        }
    }

    #[test]
    fn the_link_is_the_learners_editors_or_that_of_a_windows_terminal() {
        let url = |links: Links| links.url("crates/a/b.rs", "5", "7");
        let template = "vscode://file{path}:{line}:{column}\x07";
        assert_eq!(url(links(Some(template), None)), "vscode://file/home/ada/bug%20lab/crates/a/b.rs:5:7");
        assert_eq!(
            url(links(None, Some("Ubuntu"))),
            "file://wsl.localhost/Ubuntu/home/ada/bug%20lab/crates/a/b.rs"
        );
    }

    #[test]
    fn a_terminal_that_is_not_known_to_support_links_gets_none() {
        let of = |set: &[(&str, &str)]| {
            is_supported(|name| {
                set.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
            })
        };
        for set in [
            &[("TERM_PROGRAM", "vscode")][..],
            &[("VTE_VERSION", "7600")],
            &[("TERM", "xterm-kitty")],
            &[("WT_SESSION", "1")],
        ] {
            assert!(of(set), "{set:?}");
        }
        for set in [
            &[][..],
            &[("TERM", "xterm-256color")],
            &[("VTE_VERSION", "4600")],
            &[("TERM_PROGRAM", "vscode"), ("FORCE_HYPERLINK", "0")],
        ] {
            assert!(!of(set), "{set:?}");
        }
    }
}
