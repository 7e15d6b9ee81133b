#!/usr/bin/env bash
# No folder of src/ includes from a higher layer, and there is no include cycle.
set -u
cd "${CADRE_SOURCE:-.}" || exit 1
order="base io config store model sandbox git mcp tool agent ci team ui cli"
echo "1..3"

bad=$(for file in $(find src -name '*.c' -o -name '*.h' -o -name '*.cc' -o -name '*.hh'); do
    awk -v order="$order" -v file="$file" '
        BEGIN { n = split(order, names, " "); for (i = 1; i <= n; i++) rank[names[i]] = i
                split(file, part, "/"); own = rank[part[2]] }
        match($0, /^[ \t]*#[ \t]*include[ \t]*"[a-z]+\//) {
            text = $0; sub(/^[^"]*"/, "", text); split(text, p, "/")
            if (!(p[1] in rank)) print file ":" NR ": unknown layer " p[1]
            else if (rank[p[1]] > own) print file ":" NR ": " part[2] " includes from the higher " p[1]
        }' "$file"
done)
if [ -z "$bad" ]; then echo "ok 1 - no_folder_includes_from_a_higher_layer"
else echo "$bad" | sed 's/^/# /'; echo "not ok 1 - no_folder_includes_from_a_higher_layer"; fi

# tsort reports a cycle among headers on standard error and exits 1.
pairs=$(find src -name '*.h' | while read -r file; do
    sed -n 's/^[ \t]*#[ \t]*include[ \t]*"\([a-z]*\/[a-z0-9_]*\.h\)".*/\1/p' "$file" |
        sed "s|^|${file#src/} |"
done)
if printf '%s\n' "$pairs" | tsort >/dev/null 2>/tmp/cadre-cycle.$$; then
    echo "ok 2 - there_is_no_include_cycle"
else
    sed 's/^/# /' /tmp/cadre-cycle.$$
    echo "not ok 2 - there_is_no_include_cycle"
fi
rm -f /tmp/cadre-cycle.$$

missing=$(for dir in src/*/; do [ -f "$dir/README.md" ] || echo "$dir"; done)
if [ -z "$missing" ]; then echo "ok 3 - every_folder_of_src_has_a_readme"
else echo "# without README.md: $missing"; echo "not ok 3 - every_folder_of_src_has_a_readme"; fi
