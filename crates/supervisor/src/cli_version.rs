//! Versions of the Temporal CLI.

/// The oldest version that will do.
pub const LEAST: (u32, u32, u32) = (1, 5, 1);
/// The version that is fetched when there is none.
pub const PINNED: &str = "1.9.1";

/// Reads `temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)`.
pub(crate) fn parse(text: &str) -> Option<(u32, u32, u32)> {
    let version = text.strip_prefix("temporal version ")?.split_whitespace().next()?;
    // A development build is what it is built from.
    let mut parts = version.split(['.', '-']).map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??, parts.next()??))
}

/// A version as people write it.
pub fn dotted((major, minor, patch): (u32, u32, u32)) -> String {
    format!("{major}.{minor}.{patch}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_that_stand_in_several_places_agree() {
        let manifest = include_str!("../../../Cargo.toml");
        assert!(manifest.contains(&format!("least-temporal-cli = \"{}\"", dotted(LEAST))));
        let value = |text: &str, key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)).expect("it has this key");
            let parts: Vec<u32> =
                line.trim_matches(|c| "= \"".contains(c)).split('.').flat_map(str::parse).collect();
            parts
        };
        let least = value(manifest, "rust-version");
        assert!(least.len() >= 2, "{least:?}");
        assert!(value(include_str!("../../../rust-toolchain.toml"), "channel") >= least);
    }

    #[test]
    fn a_version_is_compared_by_its_numbers() {
        assert_eq!(parse("temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)"), Some((1, 9, 1)));
        assert_eq!(parse("temporal version 1.10.0-rc.1 (Server 1)"), Some((1, 10, 0)));
        assert_eq!(parse("temporal version 1.5"), None);
        assert_eq!(parse("tctl version 1.18.0"), None);
        assert!((1, 10, 0) > LEAST && (1, 5, 0) < LEAST);
    }
}
