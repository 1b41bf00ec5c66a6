# The program alone in an image: no shell, no package manager.
FROM rust:1.95-slim-trixie AS build
WORKDIR /src
RUN apt-get update && apt-get install -qy --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
COPY . .
RUN cargo build --release --locked --package tailwater

# glibc, and the certificate authorities that TLS to a store needs. Root, as Fluent Bit's image: container
# logs are readable by root alone.
FROM gcr.io/distroless/cc-debian13
COPY --from=build /src/target/release/tailwater /usr/bin/tailwater
COPY config/parsers.conf /fluent-bit/etc/parsers.conf
ENTRYPOINT ["/usr/bin/tailwater"]
CMD ["-c", "/fluent-bit/etc/fluent-bit.conf"]
