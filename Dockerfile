# Builds the image: one static program, and the licences of its parts.
#
#   docker build --tag stackstate/prometheusmirror:0.1.0 .
#
# Another build image: --build-arg BUILD_IMAGE=registry.example/rust. It must have Rust, and gcc and the headers of glibc from
# Debian's packages. Without a network: run `cargo vendor` first; the build then uses vendor/. Behind a proxy that signs TLS with
# its own CA: --secret id=ca,src=FILE. FILE contains the CA certificate as PEM.

ARG RUST_VERSION=1.95.0
ARG BUILD_IMAGE=docker.io/library/rust:${RUST_VERSION}-slim-bookworm

# For another platform, this stage runs in emulation. Cross-compiling would need a C compiler that the build image does not have.
FROM ${BUILD_IMAGE} AS build
WORKDIR /build
COPY . .
# The sources of the crates are always in vendor/, so that the program is the same with and without a network.
RUN --mount=type=secret,id=ca,target=/run/ca.pem \
    if [ ! -d vendor ]; then \
        if [ -e /run/ca.pem ]; then export CARGO_HTTP_CAINFO=/run/ca.pem; fi; \
        cargo vendor --locked >/dev/null; \
    fi
# With --target, RUSTFLAGS does not apply to build scripts and macros, which cannot be linked statically. It replaces the flags of
# .cargo/config.toml, so it repeats them. It wins over all flags that the build image may set.
RUN set -eu; \
    target=$(rustc --version --verbose | sed -n 's/^host: //p'); \
    RUSTFLAGS='-Ctarget-feature=+crt-static -Cllvm-args=-inline-threshold=60' cargo build --release --locked --offline \
        --target "$target" \
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
# A number, so that Kubernetes can tell that it is not root. Any other user works, too, because the program writes no files.
USER 65532:65532
EXPOSE 9900
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/prometheusmirror", "check"]
ENTRYPOINT ["/prometheusmirror"]
