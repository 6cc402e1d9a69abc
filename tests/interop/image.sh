#!/usr/bin/env bash
# The image, built for real from the Dockerfile by buildah. The two images that it starts from lie on a registry
# that not every machine reaches, so others take their names: a Debian made by debootstrap, and one that has the
# system and the toolchain of this machine. Compiled without optimisation, which takes half the time.
# Then the program runs in the image's file system, as the image says: user, environment, command. And a build
# of the same sources in another folder has the same bytes. Needs root (chroot, mounts).
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source-path=SCRIPTDIR
. tests/interop/debian.sh

scratch=$(mktemp -d)
server=
images() {
  buildah --root "$scratch/storage" --runroot "$scratch/run" --storage-driver vfs "$@"
}
cleanup() {
  if [[ -n $server ]]; then kill "$server" 2>/dev/null || true; fi
  images umount --all >/dev/null 2>&1 || true
  rm -rf "$scratch"
}
trap cleanup EXIT

toolchain=$(sed -n 's/^channel = "\(.*\)"$/\1/p' rust-toolchain.toml)
mapfile -t bases < <(sed -n 's/^FROM \([^ ]*\).*/\1/p' Dockerfile)
[[ ${#bases[@]} == 2 && ${bases[0]} == rust:$toolchain-* ]] ||
  fail "the Dockerfile does not build with Rust $toolchain, or not in two stages"

# the stand-ins
profile=(CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16)
base() {
  local name=$1 folder=$2 container
  container=$(images from scratch)
  images add --quiet "$container" "$folder" / >/dev/null
  shift 2
  for entry in "$@"; do images config --env "$entry" "$container"; done
  images commit --quiet --rm "$container" "$name" >/dev/null
}
system=(/usr/bin /usr/include /usr/lib /usr/lib64 /usr/libexec /usr/share)
mkdir -p "$scratch"/builder/{etc/ssl/certs,opt/rust,tmp,var/tmp,usr/local} "${system[@]/#/$scratch/builder}"
ln -s usr/bin usr/lib usr/lib64 "$scratch/builder/"
cp -a /etc/alternatives /etc/ld.so.* "$scratch/builder/etc/"
cp -L /etc/ssl/certs/ca-certificates.crt "$scratch/builder/etc/ssl/certs/"
base "localhost/${bases[0]}" "$scratch/builder" PATH=/opt/rust/bin:/usr/bin:/bin CARGO_HOME=/usr/local/cargo "${profile[@]}"
debian_into "$scratch/debian"
base "${bases[1]}" "$scratch/debian" PATH=/usr/local/bin:/usr/bin:/bin
rm -rf "$scratch/builder" "$scratch/debian"

# what the Dockerfile wants cached is kept there
mkdir -p "$CARGO_TARGET_DIR/image"
volumes=(--volume "$(rustc --print sysroot):/opt/rust:ro")
for folder in "${system[@]}"; do volumes+=(--volume "$folder:$folder:ro"); done
TMPDIR="$CARGO_TARGET_DIR/image" images build --isolation chroot --network host --pull-never --timestamp 0 --quiet \
  "${volumes[@]}" --tag jeton . >"$scratch/build" 2>&1 ||
  fail "buildah build: $(tail -n 40 "$scratch/build")"
echo 'ok: buildah builds the image from the Dockerfile'

# what it says of itself
images inspect --type image jeton >"$scratch/image.json"
said() {
  python3 -c 'import json, sys; c = json.load(open(sys.argv[1]))["OCIv1"]["config"]; print("\n".join(eval(sys.argv[2])))' \
    "$scratch/image.json" "$1"
}
mapfile -t settings < <(said 'c["Env"]')
mapfile -t entry < <(said 'c["Entrypoint"]')
mapfile -t command < <(said 'c["Cmd"]')
user=$(said '[c["User"]]')
[[ $user == 65532:65532 && $(said '[c["WorkingDir"]]') == / ]] || fail "the image runs as $user"
port=$(free_port)
# its own port may be taken on this machine
settings=("${settings[@]/#JETON__SERVER__LISTEN=0.0.0.0:8080/JETON__SERVER__LISTEN=127.0.0.1:$port}")
[[ " ${settings[*]} " == *":$port "* ]] || fail 'the image does not listen at 0.0.0.0:8080'

container=$(images from --pull-never jeton)
root=$(images mount "$container")
chmod 755 "$scratch" "$scratch"/storage{,/vfs,/vfs/dir}
ldd "$root/usr/local/bin/jeton" | grep -o '/[^ ]*' | while read -r library; do
  case "$library" in
    */ld-linux-* | */libc.so.* | */libgcc_s.so.* | */libm.so.* | */libdl.so.* | */libpthread.so.* | */librt.so.*) ;;
    *) fail "$library is not in distroless/cc" ;;
  esac
done
# the sample without its clients: the image listens on all addresses
cp policies/orders.yaml policies/jeton.yaml "$root/policies/"

# not by the image's path
chroot=$(command -v chroot)
in_image() {
  exec env -i JETON__ISSUER=https://tokens.example.com "${settings[@]}" "$chroot" --userspec="$user" "$root" "${entry[@]}" "$@"
}
health() {
  (in_image health) >"$scratch/health" 2>&1
}
start() {
  (in_image "${command[@]}") >"$scratch/log" 2>&1 &
  server=$!
  for _ in {1..100}; do
    if health; then break; fi
    kill -0 "$server" 2>/dev/null || fail "the server ended: $(cat "$scratch/log")"
    sleep 0.1
  done
  health || fail "jeton health: $(cat "$scratch/health") $(cat "$scratch/log")"
  curl -sf -o "$scratch/ready" "http://127.0.0.1:$port/readyz" || fail "/readyz: $(cat "$scratch/log")"
  grep -q '"status":"ready"' "$scratch/ready" || fail "/readyz: $(cat "$scratch/ready")"
}
stop() {
  kill -TERM "$server"
  wait "$server" || fail "it did not end well on SIGTERM: $(cat "$scratch/log")"
  server=
}
start
echo 'ok: it runs, `/readyz` answers, and `jeton health` says so'
[[ $(tr '\0' ' ' <"/proc/$server/cmdline") == 'jeton serve '* ]] || fail 'the process is not jeton'
[[ $(awk '/^Uid:/ { print $2 }' "/proc/$server/status") == 65532 ]] || fail 'it does not run as user 65532'
key=$(find "$root/keys" -name '*.pem' -perm 600 -uid 65532)
[[ -n $key ]] || fail 'no key of mode 0600 was made in /keys'
written=$(find "$root" -xdev -newer "$root/policies/jeton.yaml" -uid 65532 ! -path "$root/keys*")
[[ -z $written ]] || fail "it wrote outside of /keys: $written"
curl -sf -o /dev/null "http://127.0.0.1:$port/.well-known/jwks.json" || fail 'it does not publish its keys'
stop
if health; then fail '`jeton health` says yes to a server that is not there'; fi
echo 'ok: it runs as user 65532, writes to /keys alone, and ends on SIGTERM'

# once the key is there, /keys may be read-only
chown -R 0:65532 "$root/keys"
chmod 550 "$root/keys"
chmod 440 "$key" "$root/keys/keyring.yaml"
(in_image keys list) >"$scratch/list" 2>&1 || fail "$(cat "$scratch/list")"
start
stop
echo 'ok: it starts with a read-only /keys too'

# the same sources in another folder, with other paths to the toolchain and the crates
elsewhere="$scratch/some/other/folder"
mkdir -p "$elsewhere"
git ls-files -z --cached --others --exclude-standard | tar --null -T - -c | tar -x -C "$elsewhere"
env "${profile[@]}" CARGO_TARGET_DIR="$scratch/built/elsewhere" "$elsewhere/deploy/release.sh" --quiet
cmp "$root/usr/local/bin/jeton" "$scratch/built/elsewhere/release/jeton" || fail 'a build in another folder has other bytes'
if grep -aqF -e "$scratch" -e "$HOME" "$scratch/built/elsewhere/release/jeton"; then fail 'the program says where it was built'; fi
echo 'ok: a build in another folder has the same bytes'
