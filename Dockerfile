# syntax=docker/dockerfile:1
# The same toolchain as rust-toolchain.toml, which is not copied: rustup would fetch clippy and rustfmt.
FROM rust:1.95.0-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock jeton.toml ./
# cargo wants the benches that Cargo.toml names to be there
COPY benches benches
COPY crates crates
COPY src src
COPY deploy/release.sh deploy/
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    deploy/release.sh \
    && mkdir -p /out/keys /out/policies \
    && cp target/release/jeton /out/jeton

# no shell, no package manager; user and group 65532
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/jeton /usr/local/bin/jeton
# keys/ must be writable for the first key and for `keys.rotate_every`; policies/ is only read
COPY --from=build --chown=65532:65532 /out/keys /keys
COPY --from=build /out/policies /policies
VOLUME ["/keys", "/policies"]
WORKDIR /
ENV JETON__SERVER__LISTEN=0.0.0.0:8080 \
    JETON__KEYS__DIR=/keys \
    JETON__POLICIES__DIR=/policies \
    JETON__LOG__FORMAT=json
EXPOSE 8080
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["jeton", "health"]
ENTRYPOINT ["jeton"]
CMD ["serve"]
