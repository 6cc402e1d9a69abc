#!/usr/bin/env bash
# What can be known of the image without a container engine: the Dockerfile's toolchain is ours, what it
# copies is there and is enough to build, and the program runs in an empty root file system of its own, as an
# unprivileged user, by the environment of the image alone. Needs root for the latter (chroot).
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

scratch=$(mktemp -d)
server=
cleanup() {
  if [[ -n $server ]]; then kill "$server" 2>/dev/null || true; fi
  rm -rf "$scratch"
}
trap cleanup EXIT

toolchain=$(sed -n 's/^channel = "\(.*\)"$/\1/p' rust-toolchain.toml)
grep -q "^FROM rust:$toolchain-" Dockerfile || fail "the Dockerfile does not build with Rust $toolchain"
echo "ok: the image is built with Rust $toolchain"

# the build context: only what .dockerignore lets through, only what is copied
context="$scratch/context"
mkdir "$context"
while read -r sources; do
  for source in $sources; do
    [[ -e $source ]] || fail "Dockerfile: COPY $source: there is no such file"
    grep -qx "!$source" .dockerignore || fail "Dockerfile: COPY $source: .dockerignore keeps it out"
    tar -c --exclude-from=<(grep -v '^[!*#]' .dockerignore) "$source" | tar -x -C "$context"
  done
done < <(sed -n 's/^COPY \([^-].*\) [^ ]*$/\1/p' Dockerfile)
[[ -e $context/Cargo.toml ]] || fail 'Dockerfile: no COPY was found'
(cd "$context" && cargo build --quiet --locked --bin jeton)
echo "ok: what is copied builds: $(ls -m "$context")"

# the root file system: the program, the libraries and certificates that distroless/cc has, the two folders
((EUID == 0)) || fail 'running the program in a root file system of its own needs root'
root="$scratch/root"
mkdir -p "$root"/{usr/local/bin,etc/ssl/certs,keys,policies}
cp "$CARGO_TARGET_DIR/debug/jeton" "$root/usr/local/bin/"
ldd "$root/usr/local/bin/jeton" | grep -o '/[^ ]*' | while read -r library; do
  mkdir -p "$root$(dirname "$library")"
  cp -L "$library" "$root$library"
  case "$library" in
    */ld-linux-* | */libc.so.* | */libgcc_s.so.* | */libm.so.* | */libdl.so.* | */libpthread.so.* | */librt.so.*) ;;
    *) fail "$library is not in distroless/cc" ;;
  esac
done
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
# the sample without its clients: the image listens on all addresses
cp policies/orders.yaml policies/jeton.yaml "$root/policies/"
chown 65532:65532 "$root/keys"
chmod -R go-w "$root"
chmod 755 "$root" "$scratch"

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
mapfile -t settings < <(grep -o 'JETON__[A-Z_]*=[^ ]*' Dockerfile | sed "s/^JETON__SERVER__LISTEN=0.0.0.0:8080$/JETON__SERVER__LISTEN=127.0.0.1:$port/")
[[ " ${settings[*]} " == *":$port "* ]] || fail 'Dockerfile: JETON__SERVER__LISTEN is not 0.0.0.0:8080'
chroot=$(command -v chroot || echo /usr/sbin/chroot)
in_image() {
  exec env -i PATH=/usr/local/bin:/usr/bin:/bin JETON__ISSUER=https://tokens.example.com "${settings[@]}" "$@"
}
(in_image "$chroot" --userspec=65532:65532 "$root" jeton serve) >"$scratch/log" 2>&1 &
server=$!
health() {
  (in_image "$chroot" --userspec=65532:65532 "$root" jeton health) >"$scratch/health" 2>&1
}
for _ in {1..100}; do
  if health; then break; fi
  kill -0 "$server" 2>/dev/null || fail "the server ended: $(cat "$scratch/log")"
  sleep 0.1
done
health || fail "jeton health: $(cat "$scratch/health") $(cat "$scratch/log")"
echo 'ok: `jeton health` says that it answers'
[[ $(tr '\0' ' ' <"/proc/$server/cmdline") == 'jeton serve '* ]] || fail 'the process is not jeton'
[[ $(awk '/^Uid:/ { print $2 }' "/proc/$server/status") == 65532 ]] || fail 'it does not run as user 65532'
key=$(find "$root/keys" -name '*.pem' -perm 600 -uid 65532)
[[ -n $key ]] || fail 'no key of mode 0600 was made in /keys'
written=$(find "$root" -newer "$root/policies" -uid 65532 ! -path "$root/keys*")
[[ -z $written ]] || fail "it wrote outside of /keys: $written"
curl -sf -o /dev/null "http://127.0.0.1:$port/.well-known/jwks.json" || fail 'it does not publish its keys'
kill -TERM "$server"
wait "$server" || fail "it did not end well on SIGTERM: $(cat "$scratch/log")"
server=
if health; then fail '`jeton health` says yes to a server that is not there'; fi
echo 'ok: it runs as user 65532 in an empty file system, writes to /keys alone, and ends on SIGTERM'

# once the key is there, /keys may be read-only
chown -R 0:65532 "$root/keys"
chmod 550 "$root/keys"
chmod 440 "$key" "$root/keys/keyring.yaml"
(in_image "$chroot" --userspec=65532:65532 "$root" jeton keys list) >"$scratch/list" 2>&1 || fail "$(cat "$scratch/list")"
(in_image "$chroot" --userspec=65532:65532 "$root" jeton serve) >"$scratch/log" 2>&1 &
server=$!
for _ in {1..100}; do
  if health; then break; fi
  kill -0 "$server" 2>/dev/null || fail "the server ended: $(cat "$scratch/log")"
  sleep 0.1
done
health || fail "with a read-only /keys: $(cat "$scratch/log")"
kill -TERM "$server"
wait "$server" || fail "it did not end well on SIGTERM: $(cat "$scratch/log")"
server=
echo 'ok: it starts with a read-only /keys too'
