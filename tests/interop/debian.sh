# shellcheck shell=bash
# For the scripts beside this one: a minimal Debian of this machine's release, made once by debootstrap.

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Lays a fresh one into the folder.
debian_into() {
  local release archive
  # shellcheck disable=SC1091
  release=$(. /etc/os-release && echo "$VERSION_CODENAME")
  archive="$CARGO_TARGET_DIR/debian-$release.tar"
  ((EUID == 0)) || fail 'a root file system of its own needs root'
  if [[ ! -f $archive ]]; then
    local made="$archive.new"
    rm -rf "$made"
    debootstrap --variant=minbase --include=adduser,ca-certificates "$release" "$made" >"$archive.log" 2>&1 ||
      fail "debootstrap: $(tail -n 20 "$archive.log")"
    rm -rf "$made"/var/cache/apt/archives/*.deb "$made"/var/lib/apt/lists/*
    tar -C "$made" -cf "$archive.part" .
    mv "$archive.part" "$archive"
    rm -rf "$made"
  fi
  mkdir -p "$1"
  tar -C "$1" -xf "$archive"
  chmod 755 "$1"
}

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
