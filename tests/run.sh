#!/usr/bin/env bash
# Runs a command with tests. When it fails, what failed is said again at the end, behind all that the tests and their servers have logged.
set -euo pipefail
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if "$@" 2>&1 | tee "$log"; then
	exit 0
else
	status=$?
fi
echo "what failed:"
awk '
	/Error Trace:|^panic: |WARNING: DATA RACE/ { left = 16 }
	left > 0 { print "  " substr($0, 1, 240); left-- }
	/^[[:space:]]*Test:/ { left = 0 }
' "$log" | grep -v '^ *$' | tail -n 120 || true
grep -E '^[[:space:]]*--- FAIL|^FAIL[[:space:]]|: wrong: |\[build failed\]' "$log" | tail -n 40 || true
exit "$status"
