# The image of the autoscaler for those who have a container engine: docker build --tag autoscale.io/autoscaler:latest .
# Without one, make image writes the same program on the same empty base into an archive.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS TARGETARCH
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false "-ldflags=-s -w -buildid=" -o /autoscaler ./cmd/autoscaler

# Time zones and the public authorities are in the program.
FROM scratch
COPY --from=build /autoscaler /autoscaler
LABEL org.opencontainers.image.title="autoscaler" \
      org.opencontainers.image.description="Scales Kubernetes workloads on events, configured by annotations on the workloads" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /
USER 65532:65532
ENTRYPOINT ["/autoscaler"]
