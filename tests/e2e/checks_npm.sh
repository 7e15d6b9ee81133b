#!/usr/bin/env bash
# False positives of the built-in checks: the whole trees of three packages from npm, with all they depend on, as one added
# diff. Nothing of them is run. Prints the findings of each check per 1,000 files; bounds those that should never be wrong.
. "$(dirname "$0")/lib.sh"
source_dir=${CADRE_SOURCE:-$PWD}
tool=$(dirname "$CADRE")/tests/check_diff
real_home=$(getent passwd "$(id -u)" | cut -d: -f6)
export CADRE_NPM_CACHE=${CADRE_NPM_CACHE:-$real_home/.cache/cadre-npm}-checks npm_config_ignore_scripts=true
modules=$("$source_dir/tests/npm-install" express typescript eslint 2>"$SCRATCH/reason") || {
    skip false_positives_on_packages "$(head -n 1 "$SCRATCH/reason")"
    exit 0
}
mkdir "$SCRATCH/tree" && cd "$SCRATCH/tree" || exit 1
git init -q .
cp -r "$modules" packages
rm -rf packages/.bin packages/.package-lock.json
git -c core.autocrlf=false add -fA . 2>/dev/null
files=$(git ls-files | wc -l)
git diff --cached --no-color --full-index --no-renames >"$SCRATCH/diff"
"$tool" <"$SCRATCH/diff" >"$SCRATCH/findings"
ok the_checks_end_well is "$?" 0
ok there_are_trees_to_look_at test "$files" -gt 1000
echo "# $files files, $(wc -c <"$SCRATCH/diff") bytes; findings per 1,000 files:"
cut -f1 "$SCRATCH/findings" | sort | uniq -c | sort -rn |
    awk -v files="$files" '{ printf "#   %-18s %6.2f  (%d)\n", $2, $1 * 1000 / files, $1 }'
count() { cut -f1 "$SCRATCH/findings" | grep -cx -- "$1"; }
few() { # CHECK MOST
    local n
    n=$(count "$1")
    [ "$n" -le "$2" ] || { echo "$n findings of $1"; awk -F'\t' -v c="$1" '$1 == c' "$SCRATCH/findings" | head -n 20; return 1; }
}
# Documentation of these packages shows a made-up password in a URL now and then.
ok credentials_are_hardly_ever_seen_where_there_are_none few credential $((files / 1000 + 1))
ok private_keys_are_hardly_ever_seen_where_there_are_none few private-key $((files / 1000 + 1))
ok deceptive_characters_are_rare few bidi $((files / 100))
ok look_alikes_are_rare few homoglyph $((files / 100))
ok a_planted_credential_is_seen_among_them test "$({ cat "$SCRATCH/diff"; printf 'diff --git a/x b/x\nnew file mode 100644\nindex 0000000..1111111\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+k = "ghp_%s"\n' a8Kd02LmQ9xZ7bVn4TgY1hWc6RfE3jUs5PoI; } | "$tool" | grep -c '^credential.*x:1	')" = 1
