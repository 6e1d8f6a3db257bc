#!/usr/bin/env bash
# Installs what the tests need beside Go: a MariaDB server with mysqldump, and mydumper, whose dumps are restored.
# SLUICE_SKIP_MARIADB=1 does without, as the suite does then.
set -euo pipefail
if [ -n "${SLUICE_SKIP_MARIADB:-}" ]; then
  exit 0
fi
if { command -v mariadbd >/dev/null 2>&1 || [ -x /usr/sbin/mariadbd ]; } &&
  command -v mysqldump >/dev/null 2>&1 && command -v mydumper >/dev/null 2>&1; then
  exit 0
fi
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" != 0 ]; then
  echo "tests need mariadbd, mysqldump and mydumper on this machine: install your distribution's packages mariadb-server, mariadb-client and mydumper" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
# The server is started by the tests on ports and directories of their own; the package must not start one.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then # containers often have one that says the same
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
fi
log=$(mktemp)
if ! { apt-get update -q && apt-get install -q -y --no-install-recommends mariadb-server mariadb-client mydumper; } >"$log" 2>&1; then
  tail -30 "$log" >&2
  exit 1
fi
rm -f "$log"
