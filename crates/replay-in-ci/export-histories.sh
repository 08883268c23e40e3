#!/usr/bin/env bash
# Exports the Event Histories of Workflows, each into a file of its own, for tests/replay.rs to replay:
#
#   export-histories.sh FOLDER [WORKFLOW_TYPE]
#
# Exported are up to IN_PROGRESS (200) of those in progress and up to COMPLETED (50) of the last that completed. Leave the
# completed ones out with COMPLETED=0 where they ran code whose patches are removed by now.
#
# It needs the Temporal CLI, which finds the Temporal Service by TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY or a
# profile, and jq. A history holds what your Workflows and Activities get and return: keep the folder as safe as that data.
set -euo pipefail

folder=${1:?usage: export-histories.sh FOLDER [WORKFLOW_TYPE]}
type=${2:-MoneyTransferWorkflow}
mkdir -p "$folder"

export_some() {
  local status=$1 limit=$2 workflow run
  [ "$limit" -gt 0 ] || return 0
  temporal workflow list --query "WorkflowType = '$type' AND ExecutionStatus = '$status'" --limit "$limit" --output json |
    jq --raw-output '.[].execution | "\(.runId) \(.workflowId)"' |
    while read -r run workflow; do
      # With payloads as they are recorded, which a replay needs.
      temporal workflow show --workflow-id "$workflow" --run-id "$run" --no-json-shorthand-payloads --output json \
        < /dev/null > "$folder/$run.json"
      echo "exported $workflow ($status)"
    done
}

export_some Running "${IN_PROGRESS:-200}"
export_some Completed "${COMPLETED:-50}"
