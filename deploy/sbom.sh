#!/bin/sh
# The software bill of materials of the program, as CycloneDX: each crate that is linked into it, with version,
# licence and checksum, and a few that cargo only resolves. `deploy/sbom.sh FILE`. Needs cargo-cyclonedx; the same
# sources give the same bytes.
set -eu
file=$(realpath "$1")
cd "$(dirname "$0")/.."
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT

# it writes beside each Cargo.toml
git ls-files -z --cached --others --exclude-standard | tar --null -T - -c | tar -x -C "$copy"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
cargo cyclonedx --quiet --manifest-path "$copy/Cargo.toml" --format json --spec-version 1.5 \
    --no-build-deps --target x86_64-unknown-linux-gnu --override-filename sbom
# it names crates of this tree by their folders
sed "s|file://$copy|file:///jeton|g" "$copy/sbom.json" >"$file"
