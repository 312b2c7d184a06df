#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# format.sh: all C files of the tree as .clang-format says; what is not is shown.
set -euo pipefail

cd "$(dirname "$0")/.."
find src simd bench include tests \( -name '*.c' -o -name '*.h' \) -print0 |
    xargs -0 "${CLANG_FORMAT:-clang-format}" --dry-run -Werror
echo "format: passed"
