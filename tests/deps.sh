#!/usr/bin/env bash
# Installs what the tests need beside Go: a MariaDB server for the job store's suite.
set -euo pipefail
if command -v mariadbd >/dev/null 2>&1 || [ -x /usr/sbin/mariadbd ]; then
  exit 0
fi
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" != 0 ]; then
  echo "tests need mariadbd on this machine: install your distribution's mariadb-server package" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
# The server is started by the tests on ports and directories of their own; the package must not start one.
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d
trap 'rm -f /usr/sbin/policy-rc.d' EXIT
log=$(mktemp)
if ! { apt-get update -q && apt-get install -q -y --no-install-recommends mariadb-server mariadb-client; } >"$log" 2>&1; then
  tail -30 "$log" >&2
  exit 1
fi
rm -f "$log"
