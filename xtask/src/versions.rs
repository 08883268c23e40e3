//! The versions of the worker that a lab runs, a line each, for `lab status` and `check`.

use lab_client::{
    state::State,
    temporal::Server,
    versions::{self, VersionRow},
};
use serde_json::{Value, json};
use terminal::bold;

/// The versions in this status of the supervisor; empty outside a stage that has versions, and if the server does not answer.
pub(crate) fn rows(state: &State, status: &Value) -> Vec<VersionRow> {
    versions::rows(&Server::new(&state.endpoints()), status).unwrap_or_default()
}

/// The rows as JSON.
pub(crate) fn to_json(rows: &[VersionRow]) -> Value {
    json!(rows.iter().map(VersionRow::to_json).collect::<Vec<_>>())
}

/// A heading and a line for each version, with its columns aligned; nothing without versions.
pub(crate) fn lines(rows: &[VersionRow]) -> Vec<String> {
    if rows.is_empty() {
        return Vec::new();
    }
    let cells: Vec<[String; 4]> = rows.iter().map(cells).collect();
    let width = |column: usize| cells.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let (status, transfers) = (width(1), width(2));
    let line = |[version, is, carries, runs]: &[String; 4]| {
        format!("  {version}  {is:<status$}  {carries:<transfers$}  {runs}")
    };
    [bold("versions")].into_iter().chain(cells.iter().map(line)).collect()
}

/// The columns of a row.
fn cells(row: &VersionRow) -> [String; 4] {
    let is_part = row.status == "ramping" || row.status == "current" && row.percentage < 100.0;
    let status = if is_part { format!("{} {}%", row.status, row.percentage) } else { row.status.to_owned() };
    let transfers = match (row.in_progress, row.failing) {
        (0, _) => "none in progress".to_owned(),
        (running, 0) => format!("{running} in progress"),
        (running, failing) => format!("{running} in progress, {failing} failing"),
    };
    [format!("version {}", row.version), status, transfers, format!("{} {}", row.service, row.state)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(version: u32, status: &'static str, percentage: f64, transfers: (usize, usize)) -> VersionRow {
        VersionRow {
            deployment: "money-transfer".to_owned(),
            version,
            status,
            percentage,
            in_progress: transfers.0,
            failing: transfers.1,
            service: format!("worker@{version}"),
            state: "running".to_owned(),
            pid: Some(7),
        }
    }

    #[test]
    fn each_version_is_a_line_with_its_share_its_transfers_and_its_worker() {
        let rows = [
            row(1, "current", 80.0, (3, 0)),
            row(2, "ramping", 20.0, (4, 3)),
            row(3, "inactive", 0.0, (0, 0)),
        ];
        let said = lines(&rows);
        assert_eq!(
            said[1..],
            [
                "  version 1  current 80%  3 in progress             worker@1 running",
                "  version 2  ramping 20%  4 in progress, 3 failing  worker@2 running",
                "  version 3  inactive     none in progress          worker@3 running",
            ]
        );
        assert!(lines(&[row(1, "current", 100.0, (1, 0))])[1].contains("version 1  current  1 in progress"));
        assert!(lines(&[]).is_empty());
    }
}
