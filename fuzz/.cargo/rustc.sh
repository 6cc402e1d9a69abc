#!/bin/sh
# `rustc`, with what libFuzzer needs: counters and compared values, as `cargo fuzz --sanitizer none` has them. In those
# crates alone that read bytes of others, for counters that say nothing cost time with each input, and while it is built.
rustc=$1
shift
case "$CARGO_PKG_NAME" in
  jeton | jeton-*) ;;
  actix-http | http | httparse | form_urlencoded | percent-encoding | url | idna | ipnet | sfv) ;;
  serde | serde_core | serde_json | serde-saphyr | granit-parser | jiff) ;;
  asn1-rs | der | der-parser | nom | pem | spki | x509-parser | jsonwebtoken | base64) ;;
  flate2 | miniz_oxide) ;;
  *) exec "$rustc" "$@" ;;
esac
# build scripts and macros run while it is built, and are for no target; `cargo fuzz` has said all of it
case " $* " in
  *' -Cpasses=sancov-module '*) exec "$rustc" "$@" ;;
  *' --target '*) ;;
  *) exec "$rustc" "$@" ;;
esac
exec "$rustc" "$@" -Cpasses=sancov-module \
  -Cllvm-args=-sanitizer-coverage-level=4 \
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
  -Cllvm-args=-sanitizer-coverage-pc-table \
  -Cllvm-args=-sanitizer-coverage-trace-compares
