//! The versions of the two live modules, as `crates/stages` has them.

/// One version of a live module.
#[derive(Debug, PartialEq, Eq)]
pub struct Variant {
    /// Its file in `crates/stages/src/workflow` or `…/activities`, without the ending.
    pub name: &'static str,
    /// The whole text of that file.
    pub source: &'static str,
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
