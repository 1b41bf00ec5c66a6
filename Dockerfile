# The program in an image of its own, without shell and package manager, at the places of Fluent Bit's image.
#
#     docker build -t REGISTRY/tailwater .
#     docker buildx build --platform linux/amd64,linux/arm64 -t REGISTRY/tailwater --push .
#
# `tests/image/run.sh` goes the same steps without an engine.

FROM rust:1.95-slim-trixie AS build
RUN apt-get update \
    && apt-get install -qy --no-install-recommends \
        gcc libc6-dev libcap2-bin libsystemd0 libgcrypt20 liblz4-1 liblzma5 libzstd1 \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN CARGO_PROFILE_RELEASE_STRIP=symbols cargo build --release --locked --package tailwater

# Charts and manifests name Fluent Bit's program, and configurations its parsers. The libraries are what the journal is
# read with: libsystemd, and what it unpacks entries with.
RUN etc=/image/fluent-bit/etc bin=/image/fluent-bit/bin lib=/usr/lib/$(uname -m)-linux-gnu \
    && mkdir -p /image/usr/bin $etc $bin /image$lib \
    && cp target/release/tailwater /image/usr/bin/ \
    && ln -s /usr/bin/tailwater $bin/fluent-bit \
    && cp config/fluent-bit.conf config/parsers.conf config/plugins.conf $etc/ \
    && for name in libsystemd.so.0 libcap.so.2 libgcrypt.so.20 libgpg-error.so.0 liblz4.so.1 liblzma.so.5 libzstd.so.1; \
       do cp -L $lib/$name /image$lib/ || exit; done
# Log files belong to root, and the image's user is not. What it is permitted here counts only as far as a pod is
# granted it: of a container that says nothing of capabilities, `dac_override` is one.
RUN setcap cap_dac_override,cap_dac_read_search=p /image/usr/bin/tailwater

# glibc, the rules of time zones, and the certificate authorities that TLS to a store needs.
FROM gcr.io/distroless/cc-debian13
LABEL org.opencontainers.image.title="tailwater" \
      org.opencontainers.image.description="A log shipper that takes Fluent Bit's place" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /image/ /
USER 65532:65532
EXPOSE 2020
ENTRYPOINT ["/fluent-bit/bin/fluent-bit"]
CMD ["-c", "/fluent-bit/etc/fluent-bit.conf"]
