# Limpid built on Debian 12 with the Swift of swift.org, then the command alone on a Debian without Swift:
#   docker build -t limpid . && docker run --rm -v "$PWD:/work" limpid classify model.onnx photograph.jpg
FROM swift:6.3-bookworm AS build
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      libpng-dev libjpeg-dev pkg-config g++ make binutils \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN make && make install PREFIX=/opt/limpid

FROM debian:12-slim
# SQLite keeps evaluations; libwebp reads WebP. Both are opened only when they are needed.
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      libpng16-16 libjpeg62-turbo libstdc++6 libsqlite3-0 libwebp7 \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/limpid /usr/local
RUN ldconfig
WORKDIR /work
ENTRYPOINT ["limpid"]
