# The image: one static program, and the licences of what it is made of.
#
#   docker build --tag stackstate/prometheusmirror:0.1.0 .
#
# For a site with a base image of its own: --build-arg BUILD_IMAGE=registry.example/rust, which has to have Rust, gcc and
# the headers of glibc, as Debian's packages bring them. Without a network: run `cargo vendor` first, and vendor/ is used. Behind
# a proxy that signs TLS with an authority of its own: --secret id=ca,src=FILE, where FILE holds its certificate as PEM.

ARG RUST_VERSION=1.95.0
ARG BUILD_IMAGE=docker.io/library/rust:${RUST_VERSION}-slim-bookworm

# Built where it runs, by emulation for another platform: cross-compiling would take a C compiler that the image has not.
FROM ${BUILD_IMAGE} AS build
WORKDIR /build
COPY . .
# The sources of the crates stand at the same place either way, so the program comes out the same.
RUN --mount=type=secret,id=ca,target=/run/ca.pem \
    if [ ! -d vendor ]; then \
        if [ -e /run/ca.pem ]; then export CARGO_HTTP_CAINFO=/run/ca.pem; fi; \
        cargo vendor --locked >/dev/null; \
    fi
# With the target named, the flag is not meant for what runs at the build, which static linking would break.
RUN set -eu; \
    target=$(rustc --version --verbose | sed -n 's/^host: //p'); \
    RUSTFLAGS='-C target-feature=+crt-static' cargo build --release --locked --offline --target "$target" \
        --config 'source.crates-io.replace-with="vendored"' --config 'source.vendored.directory="vendor"'; \
    install -D "target/$target/release/prometheusmirror" /image/prometheusmirror; \
    scripts/licences vendor /image/licenses

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="prometheusmirror" \
    org.opencontainers.image.description="A gateway that lets StackState use the telemetry of a Prometheus without copying it" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build /image /
# By number, so that a cluster can tell that it is not root. Any other will do as well: nothing is written.
USER 65532:65532
EXPOSE 9900
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/prometheusmirror", "check"]
ENTRYPOINT ["/prometheusmirror"]
