#!/usr/bin/env bash
# The Debian package of the debug build: made twice with the same bytes, liked by lintian, then installed, used,
# upgraded, removed and purged in a Debian of its own. Needs root (chroot).
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source-path=SCRIPTDIR
. tests/interop/debian.sh

scratch=$(mktemp -d)
server=
cleanup() {
  if [[ -n $server ]]; then kill "$server" 2>/dev/null || true; fi
  rm -rf "$scratch"
}
trap cleanup EXIT

# in the place of the release build
mkdir -p "$scratch/target/release"
strip -o "$scratch/target/release/jeton" "$CARGO_TARGET_DIR/debug/jeton"
build() {
  CARGO_TARGET_DIR="$scratch/target" deploy/deb/build.sh --fast --quiet --output "$scratch/$1" "${@:2}" >/dev/null ||
    fail 'deploy/deb/build.sh'
  echo "$scratch/$1"
}
first=$(build first.deb)
again=$(build again.deb)
cmp "$first" "$again" || fail 'the same package was not made again'
next=$(build next.deb --deb-revision 2)
version=$(dpkg-deb --field "$first" Version)
[[ $(sed -n '1s/.*(\(.*\)).*/\1/p' deploy/deb/changelog) == "$version" ]] || fail "deploy/deb/changelog does not begin with $version"
echo "ok: the package can be made again: $(stat -c %s "$first") bytes"
lintian --allow-root --fail-on error,warning --tag-display-limit 0 "$first" >"$scratch/lintian" 2>&1 ||
  fail "lintian: $(cat "$scratch/lintian")"
echo "ok: lintian has nothing to say"

root="$scratch/root"
chmod 755 "$scratch"
debian_into "$root"
in_root() {
  env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"
}
# in a subshell, whose place the program takes
in_root_as_jeton() {
  exec env -i PATH=/usr/sbin:/usr/bin "${settings[@]}" chroot --userspec=jeton:jeton "$root" jeton --config /etc/jeton/jeton.toml "$@"
}
jeton() {
  in_root jeton --config /etc/jeton/jeton.toml "$@"
}
settings=()
dpkg_says() {
  cp "$2" "$root/package.deb"
  in_root dpkg "$1" /package.deb >"$scratch/dpkg" 2>&1 || fail "dpkg $1: $(cat "$scratch/dpkg")"
  rm "$root/package.deb"
}
# has FILE OWNER MODE, by the names of users in there
has() {
  local seen
  seen=$(in_root stat -c '%U:%G %a' "$1") || fail "$1 is not there"
  [[ $seen == "$2 $3" ]] || fail "$1 is of $seen, and not of $2 $3"
}

# installed
dpkg_says --install "$first"
user=$(in_root getent passwd jeton) || fail 'there is no user jeton'
[[ $user == *:/usr/sbin/nologin ]] || fail "jeton can log in: $user"
has /etc/jeton root:jeton 750
has /etc/jeton/policies root:jeton 2750
has /var/lib/jeton/keys jeton:jeton 700
has /usr/bin/jeton root:root 755
[[ -L $root/etc/systemd/system/multi-user.target.wants/jeton.service ]] || fail 'the unit is not enabled'
[[ -f $root/usr/share/man/man1/jeton.1.gz && -f $root/usr/share/bash-completion/completions/jeton ]] ||
  fail 'there is no man page, or no completion'
(umask 022 && jeton clients add operator --api jeton --role operator --file clients.yaml) >"$scratch/secret" 2>&1 ||
  fail "jeton clients add: $(cat "$scratch/secret")"
(in_root_as_jeton policies check) >"$scratch/check" 2>&1 || fail "the service cannot read the policies: $(cat "$scratch/check")"
echo 'ok: installed: user, folders, unit, man page and completion are there'

# used
serve() {
  local port=$1
  settings=("JETON__SERVER__LISTEN=127.0.0.1:$port" "JETON__ADMIN__LISTEN=127.0.0.1:$2")
  (in_root_as_jeton serve) >"$scratch/log" 2>&1 &
  server=$!
  for _ in {1..100}; do
    if curl -sf -o "$scratch/ready" "http://127.0.0.1:$2/readyz"; then return; fi
    kill -0 "$server" 2>/dev/null || fail "the server ended: $(cat "$scratch/log")"
    sleep 0.1
  done
  fail "it is not ready: $(cat "$scratch/log")"
}
stop() {
  kill -TERM "$server"
  wait "$server" || fail "it did not end well on SIGTERM: $(cat "$scratch/log")"
  server=
}
serve "$(free_port)" "$(free_port)"
curl -sf -o "$scratch/token" -u "operator:$(tail -n 1 "$scratch/secret")" -d grant_type=client_credentials \
  "http://${settings[0]#*=}/oauth2/token" || fail "no token: $(cat "$scratch/log")"
stop
key=$(find "$root/var/lib/jeton/keys" -name '*.pem' -perm 600)
[[ -n $key ]] || fail 'no key of mode 0600 was made'
echo 'ok: it serves as the user jeton, and gives the first client a token'

# upgraded: what the operator wrote stays
echo '# a line of the operator' >>"$root/etc/jeton/jeton.toml"
chmod 710 "$root/etc/jeton"
dpkg_says --install "$next"
grep -q '^# a line of the operator$' "$root/etc/jeton/jeton.toml" || fail 'the upgrade lost an edit of jeton.toml'
grep -q operator: "$root/etc/jeton/policies/clients.yaml" || fail 'the upgrade lost a client'
has /etc/jeton root:jeton 710
[[ $(in_root getent passwd jeton) == "$user" ]] || fail 'the upgrade made another user'
serve "$(free_port)" "$(free_port)"
stop
[[ $(find "$root/var/lib/jeton/keys" -name '*.pem') == "$key" ]] || fail 'the upgrade changed the keys'
echo 'ok: upgraded: settings, clients and keys are as they were'

# removed: what the operator wrote stays
in_root dpkg --remove jeton >"$scratch/dpkg" 2>&1 || fail "dpkg --remove: $(cat "$scratch/dpkg")"
[[ ! -e $root/usr/bin/jeton ]] || fail 'removed, and the program is there'
[[ -f $key && -f $root/etc/jeton/policies/clients.yaml && -f $root/etc/jeton/jeton.toml ]] ||
  fail 'removed, and keys, clients or settings are gone'
# installed again, it is as it was
dpkg_says --install "$next"
serve "$(free_port)" "$(free_port)"
stop
echo 'ok: removed and installed again: it serves with the same keys and clients'

# purged: nothing is left but the user
in_root dpkg --purge jeton >"$scratch/dpkg" 2>&1 || fail "dpkg --purge: $(cat "$scratch/dpkg")"
left=$(find "$root" -xdev -name '*jeton*' ! -path "$root/proc/*" ! -path "$root/var/lib/dpkg/*")
[[ -z $left ]] || fail "purged, and these are left: $left"
if grep -q warning "$scratch/dpkg"; then fail "dpkg --purge warns: $(cat "$scratch/dpkg")"; fi
[[ $(in_root getent passwd jeton) == "$user" ]] || fail 'purged, and the user is gone: its number may own files elsewhere'
echo 'ok: purged: nothing is left but the user'
