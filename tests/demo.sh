#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# demo.sh CLSA TEXT QUESTIONS: needle-in-a-haystack retrieval as a demo. Reads
# a long text once into a session, then asks each question in a copy of it.
#
# TEXT is a text with facts hidden in it. QUESTIONS has a question and its
# answer on each line, separated by a tab, with escapes as of printf %b. A fact
# is recalled when the output starts with the answer and no letter or digit
# follows it. Exit status 1 when more than one fact is not recalled.
set -euo pipefail

if [ $# -ne 3 ]; then
    echo "usage: demo.sh CLSA TEXT QUESTIONS" >&2
    exit 2
fi
clsa=$1 text=$2 questions=$3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Ask one question; the answer is shown while it comes and left in $folder.
ask() {
    cp "$folder/text.session" "$folder/question.session"
    "$clsa" run --session "$folder/question.session" -p "$1" \
        --temp 0 -n 16 --stop $'\n' | tee "$folder/output"
}

recalled() {
    local output rest
    output=$(<"$folder/output")
    [[ $output == "$1"* ]] || return 1
    rest=${output#"$1"}
    [[ ! $rest =~ ^[[:alnum:]] ]]
}

printf 'reading %s\n' "$text"
"$clsa" run -f "$text" -n 0 --session "$folder/text.session" -v

asked=0 hits=0
while IFS=$'\t' read -r question answer; do
    question=$(printf '%b.' "$question") answer=$(printf '%b.' "$answer")
    question=${question%.} answer=${answer%.}
    asked=$((asked + 1))
    printf '%s' "${question#$'\n\n'}"
    ask "$question"
    if recalled "$answer"; then
        hits=$((hits + 1))
    else
        printf 'expected:%s\n' "$answer"
    fi
done <"$questions"

printf 'recalled %d/%d\n' "$hits" "$asked"
[ "$asked" -gt 0 ] && [ "$hits" -ge $((asked - 1)) ]
