#!/usr/bin/env bash
# Measures the sluice of this tree beside that of another revision: compare.sh REVISION [flags of tests/bench]
set -euo pipefail
if [ -z "${1:-}" ]; then
  echo 'name the revision to compare with: make bench-compare BASE=main~10' >&2
  exit 2
fi
root=$(git rev-parse --show-toplevel)
base=$(mktemp -d)
trap 'git -C "$root" worktree remove --force "$base/tree"; rm -rf "$base"' EXIT
git -C "$root" worktree add --quiet --detach "$base/tree" "$1"
(cd "$base/tree" && go build -o "$base/sluice" ./server)
cd "$root"
SLUICE_BIN="$root/bin/sluice" SLUICE_PLAYGROUND_BIN="$root/bin/playground" go run ./tests/bench -base "$base/sluice" "${@:2}"
