//! Checks that the instructor's notes have every *Ask yourself* question of the stages' texts, with the same answer.

use crate::{complaint::Complaint, markdown::Markdown};

/// The instructor's notes on the stages.
const NOTES: &str = "docs/instructor/stages.md";
const TO_DO: &str =
    "copy the question and the answer of the text, as `- **question**` and under it `> answer`";

/// The questions that are missing in the notes or have another answer there.
pub(super) fn check(files: &[Markdown]) -> Vec<Complaint> {
    let Some(notes) = files.iter().find(|file| file.file == NOTES) else { return Vec::new() };
    let notes = plain(notes.source());
    let mut complaints = Vec::new();
    for text in files.iter().filter(|file| file.file.starts_with("lab/")) {
        let (questions, answers) = questions_and_answers(text.source());
        if questions.len() != answers.len() {
            let what = format!("it has {} questions and {} answers", questions.len(), answers.len());
            complaints.push(Complaint::of_file(
                &text.file,
                what,
                "give each question one answer, in the same order",
            ));
        }
        for (question, answer) in questions.iter().zip(&answers) {
            let what = if !notes.contains(&format!("**{question}**")) {
                format!("the question of {} is missing: {question}", text.file)
            } else if !notes.contains(&format!("**{question}** {answer}")) {
                format!("the answer differs from that of {}: {question}", text.file)
            } else {
                continue;
            };
            complaints.push(Complaint::of_file(NOTES, what, TO_DO));
        }
    }
    complaints
}

/// The two lists of the section *Ask yourself*.
fn questions_and_answers(source: &str) -> (Vec<String>, Vec<String>) {
    let section = source.split_once("\n## Ask yourself\n").map_or("", |(_, rest)| rest);
    let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
    let (questions, answers) = section.split_once("<details>").unwrap_or((section, ""));
    (items(questions), items(answers))
}

/// The items of a list, each in one line.
fn items(list: &str) -> Vec<String> {
    let list = list.split_once("</summary>").map_or(list, |(_, list)| list);
    let list = list.split_once("</details>").map_or(list, |(list, _)| list);
    format!("\n{list}").split("\n- ").skip(1).map(plain).collect()
}

/// A text without its line breaks and the marks of quotes.
fn plain(text: &str) -> String {
    let words = text.lines().flat_map(|line| line.trim_start().trim_start_matches('>').split_whitespace());
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_that_is_missing_or_answered_otherwise_is_reported() {
        let text = "# 1\n\n## Ask yourself\n\n- One\n  more?\n- Two?\n- Three?\n\n<details>\n<summary>Answers</summary>\n\n\
                    - Yes, it\n  does.\n- No.\n- Perhaps.\n\n</details>\n\n## Hints\n\n- Four?\n";
        let notes = "- **One more?**\n\n  > Yes,\n  > it does.\n\n  Wait.\n- **Two?**\n\n  > Yes.\n";
        let files = [("lab/01-x.md", text), (NOTES, notes)]
            .map(|(file, source)| Markdown::new(file.to_owned(), source.to_owned()));
        let reported: Vec<String> = check(&files).iter().map(|complaint| complaint.what.clone()).collect();
        let expected = [
            "the answer differs from that of lab/01-x.md: Two?",
            "the question of lab/01-x.md is missing: Three?",
        ];
        assert_eq!(reported, expected);
    }
}
