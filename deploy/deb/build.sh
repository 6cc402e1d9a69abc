#!/bin/sh
# The Debian package of the program in `target/release`, which `deploy/release.sh` builds. Needs cargo-deb, whose
# arguments may follow. It prints where the package lies; the same program gives the same bytes.
set -eu
cd "$(dirname "$0")/../.."
release=${CARGO_TARGET_DIR:-$PWD/target}/release
# of all files in the package: when the last commit was made
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

# what the program writes itself
rm -rf "$release/package"
mkdir -p "$release/package/man"
"$release/jeton" man "$release/package/man" >"$release/package/man.log"
gzip --best --no-name "$release"/package/man/*.1
"$release/jeton" completions bash >"$release/package/jeton.bash"
"$release/jeton" completions zsh >"$release/package/_jeton"
"$release/jeton" completions fish >"$release/package/jeton.fish"

exec cargo deb --no-build --locked --strip "$@"
