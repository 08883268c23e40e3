//! The slides for the opening and the handout, each as one self-contained HTML file.

use lab_client::html::escape;

use crate::qr;

/// The diagram on the slides and the handout.
const PICTURE: &str = include_str!("../kit/picture.svg");

/// The slides of a five-minute opening, with speaker notes. `join` is the command with which learners join.
pub fn slides(join: Option<&str>) -> String {
    include_str!("../kit/slides.html")
        .replace("{{style}}", include_str!("../kit/slides.css"))
        .replace("{{script}}", include_str!("../kit/slides.js"))
        .replace("{{picture}}", PICTURE)
        // Last, so that a placeholder in the command is not replaced.
        .replace("{{join}}", &joining(join))
}

/// A page to print for each learner.
pub fn handout(join: Option<&str>) -> String {
    include_str!("../kit/handout.html")
        .replace("{{style}}", include_str!("../kit/handout.css"))
        .replace("{{picture}}", PICTURE)
        .replace("{{join}}", &joining(join))
}

fn joining(join: Option<&str>) -> String {
    match join {
        Some(join) => {
            // Browsers break lines after hyphens, which would split the flags.
            let words: Vec<String> =
                join.split(' ').map(|word| format!("<span>{}</span>", escape(word))).collect();
            let (text, code) = (words.join(" "), qr::svg(join));
            format!("<div class=\"join\"><pre><code>{text}</code></pre>{code}</div>")
        }
        None => "<p class=\"lead\">Type the command that your instructor shows.</p>".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_pages_are_whole_and_load_nothing() {
        let join = "cargo xtask lab start --address <b>:7233 --learner YOUR-NAME";
        for page in [slides(Some(join)), handout(Some(join)), slides(None), handout(None)] {
            assert!(!page.contains("{{"), "every place is filled");
            for outside in ["http://", "https://", " src=", "<link", "@import", "url("] {
                let page = page.replace("http://www.w3.org/2000/svg", "");
                assert!(!page.contains(outside), "it loads {outside}");
            }
            assert!(!page.contains("<b>:7233"), "the command is inserted as text");
        }
        assert!(slides(Some(join)).contains("&lt;b&gt;:7233") && !slides(None).contains("<pre>"));
    }
}
