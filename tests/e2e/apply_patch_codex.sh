#!/usr/bin/env bash
# Differential cases: the same patch on the same tree through `cadre apply-patch` and through the real Codex binary from
# npm, in a network namespace with loopback alone. Trees, exit codes and messages have to agree.
. "$(dirname "$0")/lib.sh"
source_dir=${CADRE_SOURCE:-$PWD}
modules=$("$source_dir/tests/npm-install" @openai/codex 2>"$SCRATCH/reason") || {
    skip patches_agree_with_codex "$(head -n 1 "$SCRATCH/reason")"
    exit 0
}
if ! unshare -n true 2>/dev/null; then
    skip patches_agree_with_codex "no network namespace can be made here"
    exit 0
fi
codex=$modules/.bin/codex

seed() { # DIR
    mkdir -p "$1/sub"
    printf 'one\ntwo\nthree\nfour\nfive\n' >"$1/a.txt"
    printf 'one\r\ntwo\r\nthree\r\n' >"$1/crlf.txt"
    printf 'a\nb' >"$1/noeol.txt"
    printf 'x \xe2\x80\x93 y\n\xe2\x80\x9cq\xe2\x80\x9d\n' >"$1/uni.txt"
    printf 'dup\nmid\ndup\nend\n' >"$1/dup.txt"
    printf '    indented\n\ttab\ntrail  \n' >"$1/space.txt"
    : >"$1/empty.txt"
    echo s >"$1/sub/s.txt"
}
case_number=0
agree() { # NAME PATCH (printf %b)
    local patch ours theirs
    rm -rf "$SCRATCH/ours" "$SCRATCH/theirs" "$SCRATCH/work"
    patch=$(printf '%b' "$2")
    seed "$SCRATCH/work"
    (cd "$SCRATCH/work" && printf '%s' "$patch" | "$CADRE" apply-patch - >"$SCRATCH/o.out" 2>"$SCRATCH/o.err")
    ours=$?
    mv "$SCRATCH/work" "$SCRATCH/ours"
    seed "$SCRATCH/work"
    (cd "$SCRATCH/work" && unshare -n "$codex" --codex-run-as-apply-patch "$patch" >"$SCRATCH/t.out" 2>"$SCRATCH/t.err" </dev/null)
    theirs=$?
    mv "$SCRATCH/work" "$SCRATCH/theirs"
    is "$ours" "$theirs" && diff -r "$SCRATCH/theirs" "$SCRATCH/ours" && diff "$SCRATCH/t.out" "$SCRATCH/o.out" &&
        diff "$SCRATCH/t.err" "$SCRATCH/o.err"
}
t() { ok "codex_agrees_on_$1" agree "$1" "$2"; }
p() { printf '*** Begin Patch\\n%s\\n*** End Patch' "$1"; }
u() { p "*** Update File: $1\\n$2"; }

t replace_line "$(u a.txt '@@\n-two\n+TWO')"
t context_before_and_after "$(u a.txt '@@\n one\n-two\n+2\n three')"
t two_chunks "$(u a.txt '@@\n-one\n+1\n@@\n-five\n+5')"
t chunk_without_marker_first "$(u a.txt '-one\n+1')"
t context_header "$(u a.txt '@@ three\n-four\n+4')"
t missing_context_header "$(u a.txt '@@ nowhere\n-four\n+4')"
t missing_lines "$(u a.txt '@@\n-nope\n+x')"
t out_of_order_chunks "$(u a.txt '@@\n-five\n+5\n@@\n-one\n+1')"
t append_only "$(u a.txt '@@\n+six')"
t append_to_empty "$(u empty.txt '@@\n+first')"
t append_without_newline "$(u noeol.txt '@@\n+c')"
t replace_last_without_newline "$(u noeol.txt '@@\n-b\n+B')"
t end_of_file_marker "$(u dup.txt '@@\n-end\n+END\n*** End of File')"
t end_of_file_prefers_last "$(u dup.txt '@@\n-dup\n+DUP\n*** End of File')"
t second_of_duplicates "$(u dup.txt '@@ mid\n-dup\n+DUP')"
t first_of_duplicates "$(u dup.txt '@@\n-dup\n+DUP')"
t crlf "$(u crlf.txt '@@\n one\n-two\n+2\n three')"
t crlf_append "$(u crlf.txt '@@\n+four')"
t unicode_dash "$(u uni.txt '@@\n-x - y\n+z')"
t unicode_quotes "$(u uni.txt '@@\n-"q"\n+r')"
t trailing_space_ignored "$(u space.txt '@@\n-trail\n+t')"
t both_ends_trimmed "$(u space.txt '@@\n-indented\n+i')"
t delete_line "$(u a.txt '@@\n-three')"
t delete_all_lines "$(u noeol.txt '@@\n-a\n-b')"
t empty_context_line "$(u a.txt '@@\n one\n\n-two\n+2')"
t move "$(u a.txt '*** Move to: sub/b.txt\n@@\n-one\n+1')"
t move_makes_parents "$(u a.txt '*** Move to: new/deep/b.txt\n@@\n-one\n+1')"
t move_overwrites "$(u a.txt '*** Move to: sub/s.txt\n@@\n-one\n+1')"
t add_file "$(p '*** Add File: new.txt\n+1\n+2')"
t add_empty_file "$(p '*** Add File: new.txt')"
t add_makes_parents "$(p '*** Add File: x/y/z.txt\n+1')"
t add_overwrites "$(p '*** Add File: a.txt\n+1')"
t delete_file "$(p '*** Delete File: a.txt')"
t delete_missing_file "$(p '*** Delete File: none.txt')"
t update_missing_file "$(u none.txt '@@\n-a\n+b')"
t all_kinds_in_order "$(p '*** Delete File: dup.txt\n*** Update File: a.txt\n@@\n-one\n+1\n*** Add File: n.txt\n+n')"
t failure_keeps_what_was_applied "$(p '*** Add File: n.txt\n+n\n*** Update File: a.txt\n@@\n-nope\n+x')"
t a_files_chunks_are_all_or_nothing "$(u a.txt '@@\n-one\n+1\n@@\n-nope\n+x')"
t unknown_header "$(p '*** Frob File: x')"
t empty_patch '*** Begin Patch\n*** End Patch'
t no_begin 'hello'
t no_end '*** Begin Patch\n*** Add File: x\n+1'
t update_without_chunks "$(p '*** Update File: a.txt')"
t bad_line_in_chunk "$(u a.txt '@@\nbad')"
t chunk_without_lines "$(u a.txt '@@')"
t bad_line_in_added_file "$(p '*** Add File: x\nbad')"
t indented_markers '  *** Begin Patch\n*** Update File: a.txt\n@@\n-one\n+1\n*** End Patch  '
t heredoc_wrapper "<<'EOF'\n*** Begin Patch\n*** Update File: a.txt\n@@\n-one\n+1\n*** End Patch\nEOF"
t heredoc_double_quotes '<<"EOF"\n*** Begin Patch\n*** Add File: h.txt\n+1\n*** End Patch\nEOF'
t blank_lines_around '\n\n*** Begin Patch\n*** Add File: h.txt\n+1\n*** End Patch\n\n'
t plus_only_line "$(p '*** Add File: x\n+')"
t blank_line_between_hunks "$(p '*** Update File: a.txt\n@@\n-one\n+1\n\n*** Add File: y\n+y')"
t three_chunks_with_headers "$(u a.txt '@@ one\n-two\n+2\n@@ three\n-four\n+4\n@@\n-five\n+5')"
t insert_between "$(u a.txt '@@\n two\n+two and a half\n three')"
t old_lines_end_in_blank "$(u a.txt '@@\n-five\n-\n+5\n+')"
t same_file_twice "$(p '*** Update File: a.txt\n@@\n-one\n+1\n*** Update File: a.txt\n@@\n-two\n+2')"
t add_then_update "$(p '*** Add File: n\n+1\n*** Update File: n\n@@\n-1\n+2')"
t path_with_spaces "$(p '*** Add File: a b.txt\n+1')"
t dot_path "$(p '*** Add File: ./dot.txt\n+1')"
t nested_update "$(u sub/s.txt '@@\n-s\n+S')"
