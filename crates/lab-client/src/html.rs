//! HTML files that need no other file: their frame, and text in them.

/// A page with this title, this style and this body.
pub fn page(title: &str, style: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n<meta name=viewport content=\"width=device-width\">\n\
         <title>{}</title>\n<style>{style}</style>\n{body}</html>\n",
        escape(title)
    )
}

/// A text in HTML, also in a quoted attribute.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
