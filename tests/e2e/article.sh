#!/usr/bin/env bash
# The article keeps its promised lengths, and each of its blocks is taken from files that load: in cadre and in the
# real Codex CLI.
set -u
source=${CADRE_SOURCE:-$PWD}
cadre=${CADRE:?}
article=$source/docs/orchestrating-multi-agent-flows.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=0
result() { # NAME: reads the status of the last command
    local status=$?
    number=$((number + 1))
    if [ $status -eq 0 ]; then echo "ok $number - $1"; else
        sed 's/^/# /' "$work/log" 2>/dev/null
        echo "not ok $number - $1"
    fi
}
echo "1..8"

# Words of each section with its bullets, tables and boxes, and of the whole without them; code blocks count nowhere.
awk -v limits="60-90 80-120 90-120 90-120 120-170 120-170 80-120 80-120 80-120 30-60" '
    /^```/ { code = !code; next }
    code { next }
    /^## / { section++; next }
    section == 0 { next }
    { n = 0; for (i = 1; i <= NF; i++) n += $i ~ /[[:alnum:]]/; count[section] += n }
    !/^[|>]/ { total += n }
    END {
        bad = section != 10
        split(limits, limit, " ")
        for (i = 1; i <= 10; i++) {
            split(limit[i], range, "-")
            mark = count[i] < range[1] || count[i] > range[2]
            bad += mark
            printf "section %d: %d words (%s)%s\n", i, count[i], limit[i], mark ? " <--" : ""
        }
        bad += total < 500 || total > 800
        printf "total: %d words (500-800)\n", total
        exit bad > 0
    }' "$article" >"$work/log"
status=$?
sed 's/^/# /' "$work/log"
(exit $status)
result sections_and_whole_have_their_lengths

# Each block goes to a file of its own: block-N.LANGUAGE.
awk -v out="$work/block" '
    /^```/ { if (code) { code = 0; close(name) } else { code = 1; name = out "-" ++n "." substr($0, 4) }; next }
    code { print > name }' "$article"

block_with() { grep -lF -- "$1" "$work"/block-* | head -1; }
same_file() { diff <(grep -v '^# agents/' "$(block_with "# agents/$1")") "$source/packs/pro/agents/$1" >"$work/log"; }
same_file release_manager.toml
result the_full_role_file_is_the_packs_file

: >"$work/log"
for role in explorer reviewer; do
    while read -r line; do
        grep -qxF -- "$line" "$source/packs/pro/agents/$role.toml" || echo "$role: $line" >>"$work/log"
    done < <(grep -v '^#' "$(block_with "# agents/$role.toml")")
done
test ! -s "$work/log"
result the_snippets_stand_in_the_packs_files

diff "$(block_with 'Bring CI of this repository')" "$source/packs/pro/first-run-prompt.md" >"$work/log"
result the_first_prompt_is_the_packs

: >"$work/log"
find "$source/packs/pro/agents" -name '*.toml' -printf '%f\n' | sort >"$work/files"
grep -oE '[a-z_]+\.toml' "$(block_with '`-- agents')" | grep -vE '^(config|cadre)\.toml$' | sort | diff - "$work/files" >"$work/log"
result the_tree_shows_the_packs_files

grep -oE '`gpt-[^`]+`' "$article" | tr -d '`' | sort -u | grep -vx 'gpt-6' | while read -r model; do
    grep -qF "\"$model\"" "$source/packs/models.toml" || echo "$model is not in packs/models.toml"
done >"$work/log"
test ! -s "$work/log"
result models_are_those_of_the_table

# A home made of the article's own blocks.
home=$work/home
mkdir -p "$home/agents" "$work/repo"
git -C "$work/repo" init -q
cat "$(block_with '# ~/.codex/config.toml')" "$(block_with '# config.toml')" >"$home/config.toml"
cp "$(block_with '# cadre.toml')" "$home/cadre.toml"
cp "$(block_with '# agents/release_manager.toml')" "$home/agents/release_manager.toml"
for role in explorer reviewer; do
    { cat "$(block_with "# agents/$role.toml")"; echo 'developer_instructions = "The rest."'; } >"$home/agents/$role.toml"
done
CODEX_HOME=$home XDG_STATE_HOME=$work/state "$cadre" --strict-config -C "$work/repo" config role explorer >"$work/log" 2>&1 &&
    grep -q '^mcp_servers  *docs$' "$work/log"
result the_blocks_load_in_cadre

name=the_blocks_load_in_codex_without_a_notice
modules=$("$source/tests/npm-install" @openai/codex 2>"$work/reason") || { echo "ok 8 - $name # SKIP $(head -1 "$work/reason")"; exit 0; }
unshare -rn true 2>/dev/null || { echo "ok 8 - $name # SKIP no network namespace can be made here"; exit 0; }
# The server of the example does not exist: it is switched off, its keys are still read.
unshare -rn bash -c "ip link set lo up; cd '$work/repo'; CODEX_HOME='$home' HOME='$work' OPENAI_API_KEY=none timeout 15 \
    '$modules/.bin/codex' exec --strict-config --skip-git-repo-check -c mcp_servers.docs.enabled=false \
    -c 'model_providers.closed={name=\"closed\",base_url=\"http://127.0.0.1:9/v1\"}' -c 'model_provider=\"closed\"' \
    hi </dev/null 2>&1" >"$work/out"
grep -iE 'warn|ignor|unknown|malformed|invalid|duplicate|deprecat|error' "$work/out" |
    grep -vE 'Model metadata for|PATH aliases|Reconnecting|stream disconnected|error sending request|waiting for network' >"$work/log"
grep -q '^OpenAI Codex' "$work/out" || cat "$work/out" >>"$work/log"
test ! -s "$work/log"
result "$name"
