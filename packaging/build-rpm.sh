#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# build-rpm.sh TARBALL FOLDER: the RPM packages of a release tarball, in
# FOLDER; rpmlint has no error. Without the tests, which ran before. Environment:
# OPTFLAGS, in place of the flags of the compiler.
set -euo pipefail

tarball=$(realpath "$1")
folder=$(realpath -m "$2")
spec=$(realpath "$(dirname "$0")/rpm/clsa.spec")
version=$(basename "$tarball" .tar.xz)

grep -qE "^Version: +${version#clsa-}$" "$spec" || {
    echo "build-rpm: $spec is not of version ${version#clsa-}" >&2
    exit 1
}
mkdir -p "$folder/SOURCES"
cp "$tarball" "$folder/SOURCES"
# What is needed comes from the packages of this system, not from RPM.
rpmbuild -ba --nodeps --define "_topdir $folder" --define "clsa_nocheck 1" \
    --define "_build_id_links none" --define "_smp_mflags -j2" \
    ${OPTFLAGS:+--define "optflags $OPTFLAGS"} "$spec" >"$folder/build.log" 2>&1 || {
    tail -n 40 "$folder/build.log" >&2
    exit 1
}
rpmlint -r "$(dirname "$spec")/rpmlintrc" "$spec" "$folder"/SRPMS/*.rpm "$folder"/RPMS/*/*.rpm
ls "$folder"/RPMS/*/*.rpm
