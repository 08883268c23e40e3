# shellcheck shell=bash
# In a Codespace, the names at which it forwards the lab's page and the Temporal UI. Sourced by each interactive shell.
if [ -n "${CODESPACE_NAME:-}" ] && [ -z "${BUGLAB_PUBLIC_HOSTS:-}" ]; then
  BUGLAB_PUBLIC_HOSTS="$CODESPACE_NAME-5051.${GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN:-app.github.dev}"
  BUGLAB_PUBLIC_HOSTS="$BUGLAB_PUBLIC_HOSTS,$CODESPACE_NAME-8233.${GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN:-app.github.dev}"
  export BUGLAB_PUBLIC_HOSTS
fi
