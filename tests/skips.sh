#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# skips.sh LOG...: the lines "SKIP NAME: REASON" in the logs of tests, and a
# last line that counts them. Run at the end of make check.
awk '/^SKIP [^:(]+: / {
    if (length($0) > 79)
        $0 = substr($0, 1, 76) "..."
    print "  " substr($0, 6)
    count++
}
END {
    printf "%s parts of the tests were skipped%s\n", count ? count : "no",
        count ? ": see above" : ""
}' "$@"
