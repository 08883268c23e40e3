//! The versions of the two live modules, as `crates/stages` has them.

/// One version of a live module.
#[derive(Debug, PartialEq, Eq)]
pub struct Variant {
    /// Its file in `crates/stages/src/workflow` or `…/activities`, without the ending.
    pub name: &'static str,
    /// The whole text of that file.
    pub source: &'static str,
}

impl Variant {
    /// Whether this file has the code of the variant. Line endings are the editor's, and no difference.
    pub fn is_code_of(&self, file: &[u8]) -> bool {
        is_same_code(self.source.as_bytes(), file)
    }
}

/// Whether two files are the same code to the compiler, which drops a byte order mark and reads CRLF as LF. Whether the last
/// line has an end makes no difference either.
pub fn is_same_code(one: &[u8], other: &[u8]) -> bool {
    one == other || code(one) == code(other)
}

/// A file as the compiler reads it: with LF at the end of each line, and without a byte order mark.
pub fn code(file: &[u8]) -> Vec<u8> {
    let file = file.strip_prefix("\u{feff}".as_bytes()).unwrap_or(file);
    let mut code = Vec::with_capacity(file.len() + 1);
    for (at, byte) in file.iter().enumerate() {
        if *byte != b'\r' || file.get(at + 1) != Some(&b'\n') {
            code.push(*byte);
        }
    }
    if code.last().is_some_and(|byte| *byte != b'\n') {
        code.push(b'\n');
    }
    code
}

macro_rules! variant {
    ($kind:literal, $name:literal) => {
        $crate::Variant {
            name: $name,
            source: include_str!(concat!("../../stages/src/", $kind, "/", $name, ".rs")),
        }
    };
}

pub(crate) use variant;

#[cfg(test)]
mod tests {
    use super::*;

    const VARIANT: Variant = Variant { name: "fixed", source: "// one\n\n// two\n" };

    #[test]
    fn line_endings_a_byte_order_mark_and_a_missing_last_one_are_no_edit() {
        for file in [
            "// one\n\n// two\n",
            "// one\r\n\r\n// two\r\n",
            "// one\r\n\n// two\n",
            "// one\n\n// two",
            "// one\r\n\r\n// two",
            "\u{feff}// one\n\n// two\n",
            "\u{feff}// one\r\n\n// two",
        ] {
            assert!(VARIANT.is_code_of(file.as_bytes()), "{file:?}");
        }
    }

    #[test]
    fn whatever_else_differs_is_an_edit() {
        for file in [
            "",
            "// one\n// two\n",
            "// one\n\n// two\n\n",
            "// one\r\r\n\n// two\n",
            "// one\r\r// two\r",
            "// one\n\n// two \n",
            "// one\n\u{feff}\n// two\n",
        ] {
            assert!(!VARIANT.is_code_of(file.as_bytes()), "{file:?}");
        }
        assert!(is_same_code(b"", b"") && is_same_code(b"", "\u{feff}".as_bytes()));
    }

    #[test]
    fn bytes_that_are_no_text_are_compared_too() {
        assert!(is_same_code(b"\xFF\r\n\0", b"\xFF\n\0\n"));
        assert!(!is_same_code(b"\xFF\r\n", b"\xFE\r\n"));
    }
}
