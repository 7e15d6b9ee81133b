#!/usr/bin/env bash
# Attempts to get out of the box, beside `codex sandbox`; see escapes.py. In a network namespace with loopback alone, where
# one can be made.
if [ -z "${CADRE_ESCAPES_ALONE:-}" ] && unshare -n true 2>/dev/null; then
    reason=$(mktemp)
    modules=$("$(dirname "$0")/../npm-install" @openai/codex 2>"$reason") && export CODEX="$modules/.bin/codex"
    [ -n "${CODEX:-}" ] || echo "# codex sandbox is not compared: $(head -n 1 "$reason")"
    rm -f "$reason"
    # Where the machine's /run can be covered, services are stood in for by their names.
    # shellcheck disable=SC2016
    CADRE_ESCAPES_ALONE=1 exec unshare -nm sh -c 'ip link set lo up; mount -t tmpfs -o mode=755 none /run &&
        export CADRE_ESCAPES_OWN_RUN=1; exec bash "$0" "$@"' "$0" "$@"
fi
CADRE=${CADRE:-build-check/cadre}
CADRE_SOURCE=${CADRE_SOURCE:-$(cd "$(dirname "$0")/../.." && pwd)}
SCRATCH=$(mktemp -d /var/tmp/cadre-escapes-XXXXXX)
trap 'rm -rf "$SCRATCH"' EXIT
export CADRE CADRE_SOURCE SCRATCH PATH="/usr/bin:$PATH"
export CADRE_ESCAPES_REPORT="${CADRE_ESCAPES_REPORT:-$(dirname "$CADRE")/escapes.md}"
python3 "$CADRE_SOURCE/tests/e2e/escapes.py" "$@"
