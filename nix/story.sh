# The whole story from start to finish, in a checkout of its own. nix/test runs it inside the pure dev shell.
# shellcheck shell=bash
set -o errexit -o nounset -o pipefail

xtask() { cargo xtask "$@"; }

# Waits until `lab status --json` says so.
until_status() {
  local says=$1 status=
  for _ in $(seq 300); do
    status=$(xtask lab status --json)
    case $status in *"$says"*) return ;; esac
    sleep 0.1
  done
  echo "lab status did not come to say $says: $status" >&2
  return 1
}

xtask lab start --detach
trap 'xtask lab stop' EXIT

xtask transfer account_A account_B 25.50 --workflow-id story
until_status '"kind":"workflow_task"'
xtask stage fix-workflow
until_status '"kind":"activity"'
xtask stage fix-activity
xtask retry
timeout 30 cargo xtask temporal workflow result --workflow-id story
xtask transfer account_C account_D 1 --wait
until_status '"stuck":[]'
