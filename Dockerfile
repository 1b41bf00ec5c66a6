# The program alone in an image: no shell, no package manager.
FROM rust:1.95-slim-trixie AS build
WORKDIR /src
RUN apt-get update && apt-get install -qy --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
COPY . .
RUN cargo build --release --locked --package tailwater
# Charts name Fluent Bit's program, so it lies there as well.
RUN mkdir -p /image/usr/bin /image/fluent-bit/bin /image/fluent-bit/etc \
    && cp target/release/tailwater /image/usr/bin/ \
    && ln -s /usr/bin/tailwater /image/fluent-bit/bin/fluent-bit \
    && cp config/parsers.conf /image/fluent-bit/etc/

# glibc, the rules of time zones, and the certificate authorities that TLS to a store needs. Root, as Fluent
# Bit's image: container logs are readable by root alone.
FROM gcr.io/distroless/cc-debian13
COPY --from=build /image/ /
ENTRYPOINT ["/usr/bin/tailwater"]
CMD ["-c", "/fluent-bit/etc/fluent-bit.conf"]
