//! A text as a QR code: for a terminal, and as SVG for the slides and the handout.

use std::fmt::Write as _;

use qrcode::{Color, EcLevel, QrCode, render::svg};

/// The light border that a scanner needs, in modules.
const QUIET_ZONE: usize = 4;

/// The code's lines for a terminal, two modules in a character.
///
/// With colours, it is black on white in every theme. Without colours, a light module is a block, which is right on a dark terminal; on a
/// light terminal the code is inverted, which most scanners can read too.
pub fn lines(text: &str, colours: bool) -> Vec<String> {
    let Some(code) = encode(text) else { return Vec::new() };
    let width = code.width();
    let whole = width + 2 * QUIET_ZONE;
    let is_dark = |x: usize, y: usize| {
        let inside = |at: usize| at.checked_sub(QUIET_ZONE).filter(|&at| at < width);
        matches!((inside(x), inside(y)), (Some(x), Some(y)) if code[(x, y)] == Color::Dark)
    };
    let row = |y: usize| {
        let characters = (0..whole).map(|x| match (is_dark(x, y), is_dark(x, y + 1)) {
            (true, true) => ' ',
            (true, false) => '▄',
            (false, true) => '▀',
            (false, false) => '█',
        });
        let characters: String = characters.collect();
        // White characters on black: 97 is the bright white, where 37 is grey in many themes.
        if colours { format!("\x1b[97;40m{characters}\x1b[0m") } else { characters }
    };
    (0..whole).step_by(2).map(row).collect()
}

/// The code as an SVG element, black on white.
pub fn svg(text: &str) -> String {
    let Some(code) = encode(text) else { return String::new() };
    let image = code.render::<svg::Color<'_>>().min_dimensions(200, 200).build();
    // Inside HTML, the XML declaration is not allowed.
    let element = image.split_once("?>").map_or(&*image, |(_, element)| element);
    let mut labelled = String::new();
    let _ = write!(labelled, "<svg role=\"img\" aria-label=\"The command as a QR code\"");
    labelled.push_str(element.strip_prefix("<svg").unwrap_or(element));
    labelled
}

/// `None` for a text of several kilobytes, which no QR code holds.
fn encode(text: &str) -> Option<QrCode> {
    QrCode::with_error_correction_level(text, EcLevel::L).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOIN: &str = "cargo xtask lab start --address 192.168.178.20:7233 --learner YOUR-NAME";

    /// What a scanner reads from a picture with these light modules, at 8 pixels a module.
    fn scanned(width: usize, height: usize, is_light: impl Fn(usize, usize) -> bool) -> String {
        const SCALE: usize = 8;
        let mut picture =
            rqrr::PreparedImage::prepare_from_greyscale(width * SCALE, height * SCALE, |x, y| {
                if is_light(x / SCALE, y / SCALE) { 255 } else { 0 }
            });
        let codes = picture.detect_grids();
        assert_eq!(codes.len(), 1, "one code is found");
        codes[0].decode().expect("it can be read").1
    }

    #[test]
    fn the_printed_code_scans_as_the_command() {
        for colours in [false, true] {
            let rows: Vec<Vec<char>> = lines(JOIN, colours)
                .iter()
                .map(|line| line.replace("\x1b[97;40m", "").replace("\x1b[0m", "").chars().collect())
                .collect();
            let width = rows[0].len();
            assert!(width < 60 && rows.len() < 30, "it fits on a small terminal: {width}×{}", rows.len());
            let said = scanned(width, rows.len() * 2, |x, y| match rows[y / 2][x] {
                '█' => true,
                '▀' => y % 2 == 0,
                '▄' => y % 2 == 1,
                ' ' => false,
                other => panic!("{other:?}"),
            });
            assert_eq!(said, JOIN);
        }
    }

    #[test]
    fn the_svg_is_one_element_with_a_name() {
        let svg = svg(JOIN);
        assert!(
            svg.starts_with("<svg role=\"img\" aria-label=") && svg.trim_end().ends_with("</svg>"),
            "{svg}"
        );
        assert_eq!(svg.matches("<svg").count(), 1);
        assert!(!svg.contains("<?xml"));
    }
}
