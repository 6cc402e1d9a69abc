#!/bin/sh
# The release build: the same sources, toolchain and system libraries give the same bytes in every folder.
# Arguments go to cargo; `target/release/jeton` is the program.
set -eu
cd "$(dirname "$0")/.."
here=$(pwd -P)
cargo_home=${CARGO_HOME:-$HOME/.cargo}
target=${CARGO_TARGET_DIR:-$here/target}

# no file of the build says where it was built: names in panics, and in what C compilers write
maps="$here=/jeton $cargo_home=/cargo $target=/target"
for map in $maps; do
    RUSTFLAGS="${RUSTFLAGS:-} --remap-path-prefix=$map"
    CFLAGS="${CFLAGS:-} -ffile-prefix-map=$map"
done
CXXFLAGS="${CXXFLAGS:-} $CFLAGS"
export RUSTFLAGS CFLAGS CXXFLAGS CARGO_INCREMENTAL=0 SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-0}"

exec cargo build --release --locked --bin jeton "$@"
