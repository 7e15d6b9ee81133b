#!/usr/bin/env bash
# The readers of CI definitions under libFuzzer with ASan and UBSan: the evaluator and GitHub's reader a minute each,
# GitLab's half a minute. FUZZ_SECONDS changes the minute; `make fuzz` runs every target.
source "$(dirname "$0")/lib.sh"
cd "${CADRE_SOURCE:-.}" || exit 1
seconds=${FUZZ_SECONDS:-60}

fuzz_one() { # NAME SECONDS
    FUZZ_SEED=1 FUZZ_SECONDS=$2 fuzz/run "$1" # the same inputs each time; `make fuzz` draws its own
}

if ! command -v clang >/dev/null && ! command -v clang-14 >/dev/null; then
    skip "the evaluator" "clang is not installed"
    skip "the reader of workflows" "clang is not installed"
    skip "the reader of GitLab pipelines" "clang is not installed"
else
    ok "the evaluator survives $seconds s of fuzzing" fuzz_one expression "$seconds"
    ok "the reader of workflows survives $seconds s of fuzzing" fuzz_one workflow "$seconds"
    ok "the reader of GitLab pipelines survives $((seconds / 2)) s of fuzzing" fuzz_one gitlab "$((seconds / 2))"
fi
