//! What is wrong with a service that runs or is restarted, in words.

use serde_json::Value;

/// What is wrong with a service that fails again and again, or floods its log.
pub(crate) fn of(service: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (name, failing) = (text(&service["name"]), &service["failing"]);
    let mut trouble = Vec::new();
    if failing.is_object() {
        let (why, times) = (text(&failing["why"]), &failing["in_a_row"]);
        trouble.push(format!("it {why}, {times} times in a row; see: cargo xtask lab logs {name}"));
        trouble
            .extend(failing["log"].as_array().into_iter().flatten().map(|line| format!("  {}", text(line))));
    }
    if let Some(left_out @ 1..) = service["lines_left_out"].as_u64() {
        trouble.push(format!(
            "it prints more than 1 MiB a second, so the lab left out {left_out} lines of its log; is there a print in a loop? \
             see: cargo xtask lab logs {name}"
        ));
    }
    trouble
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_service_that_fails_or_floods_its_log_is_described_with_its_last_lines() {
        let failing =
            json!({ "in_a_row": 4, "why": "ended (exit code 101) after 0.1 s", "log": ["the moon"] });
        let said = of(&json!({ "name": "worker", "failing": failing, "lines_left_out": 7 }));
        assert_eq!(said.len(), 3);
        assert!(said[0].starts_with("it ended (exit code 101) after 0.1 s, 4 times in a row"), "{said:?}");
        assert!(said[1].ends_with("the moon") && said[2].contains("left out 7 lines"), "{said:?}");
        for fine in [json!({}), json!({ "name": "worker", "failing": null, "lines_left_out": 0 })] {
            assert!(of(&fine).is_empty());
        }
    }
}
