#!/usr/bin/env bash
# Every pack loads in cadre and in the real Codex CLI in strict mode without a word about roles or keys. Codex drops a
# bad role with a notice and exit code 0, so its notices are read. It runs with loopback alone.
set -u
source=${CADRE_SOURCE:-$PWD}
cadre=${CADRE:?}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
packs="pro plus local"
echo "1..9"
number=0
result() { # NAME: reads the status of the last command
    local status=$?
    number=$((number + 1))
    if [ $status -eq 0 ]; then echo "ok $number - $1"; else
        sed 's/^/# /' "$work/log" 2>/dev/null
        echo "not ok $number - $1"
    fi
}
skip_rest() {
    while [ $number -lt 9 ]; do
        number=$((number + 1))
        echo "ok $number - packs_in_codex_$number # SKIP $1"
    done
    exit 0
}

"$source/scripts/make-packs" "$work/dist" >"$work/log" 2>&1 && for pack in $packs; do
    tar -tzf "$work/dist/cadre-pack-$pack.tar.gz" >"$work/list" || break
    for file in config.toml cadre.toml first-run-prompt.md README.md agents/orchestrator.toml agents/explorer.toml \
        agents/implementer.toml agents/ci_runner.toml agents/reviewer.toml agents/security_auditor.toml \
        agents/qa_test_author.toml agents/release_manager.toml; do
        grep -qx "cadre-pack-$pack/$file" "$work/list" || { echo "$pack lacks $file" >"$work/log"; false; break 2; }
    done
done
result archives_hold_every_file

cp -r "$work/dist" "$work/first"
"$source/scripts/make-packs" "$work/dist" >/dev/null && diff -r "$work/first" "$work/dist" >"$work/log"
result archives_are_the_same_from_the_same_files

for pack in $packs; do
    mkdir -p "$work/$pack"
    tar -xzf "$work/dist/cadre-pack-$pack.tar.gz" -C "$work/$pack" --strip-components=1
    CODEX_HOME=$work/$pack XDG_STATE_HOME=$work/state-$pack "$cadre" --strict-config -C "$work" config get model \
        >"$work/out" 2>"$work/log"
    test $? -eq 0 -a -s "$work/out"
    result "pack_${pack}_loads_strictly_in_cadre"
done

modules=$("$source/tests/npm-install" @openai/codex 2>"$work/reason") || skip_rest "$(head -1 "$work/reason")"
codex=$modules/.bin/codex
unshare -rn true 2>/dev/null || skip_rest "no network namespace can be made here"
mkdir -p "$work/repo"
git -C "$work/repo" init -q

# What Codex says when it starts with CODEX_HOME=$1; the model is a closed port on loopback.
notices() {
    unshare -rn bash -c "ip link set lo up; cd '$work/repo'; CODEX_HOME='$1' HOME='$work' OPENAI_API_KEY=none timeout 15 \
        '$codex' exec --strict-config --skip-git-repo-check \
        -c 'model_providers.closed={name=\"closed\",base_url=\"http://127.0.0.1:9/v1\",request_max_retries=0,stream_max_retries=0}' \
        -c 'model_provider=\"closed\"' hi </dev/null 2>&1" >"$1.out"
    grep -q '^OpenAI Codex' "$1.out" || cat "$1.out"
    # Not of the configuration: an unknown model's metadata, the helper binaries, the closed port.
    grep -iE 'warn|ignor|unknown|malformed|invalid|duplicate|deprecat|error' "$1.out" |
        grep -vE 'Model metadata for|PATH aliases|Reconnecting|stream disconnected|error sending request|waiting for network'
}
# The reading of notices is worth something only if a bad pack is noticed.
cp -r "$work/plus" "$work/bad"
echo 'no_such_key = 1' >>"$work/bad/agents/reviewer.toml"
for pack in $packs bad; do
    notices "$work/$pack" >"$work/log.$pack" &
done
wait
for pack in $packs; do
    cp "$work/log.$pack" "$work/log"
    test ! -s "$work/log"
    result "pack_${pack}_loads_in_codex_without_a_notice"
done
cp "$work/log.bad" "$work/log"
grep -q 'reviewer.toml' "$work/log"
result a_bad_role_file_is_noticed
