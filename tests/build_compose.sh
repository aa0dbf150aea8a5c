#!/bin/sh
# Builds Docker Compose into .cache/compose/docker-compose, one to three minutes the first time: the tests resolve
# docker-compose.yml with it. No Docker engine is needed for that.
# Needs `go` (1.25 or newer) and the Go module proxy. Run it from anywhere: sh tests/build_compose.sh
set -eu

version=v2.40.3
cache=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)/.cache/compose
mkdir -p "$cache/build"
cd "$cache/build"

if [ -x ../docker-compose ] && grep -qs " $version$" go.mod; then
    echo ".cache/compose/docker-compose is up to date"
    exit 0
fi

# A module of our own around it: `go install` refuses modules that exclude versions, as this one does.
export CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-mod=mod
rm -f go.mod go.sum
go mod init otel-metrics/compose
go get "github.com/docker/compose/v2/cmd@$version"
go build -o ../docker-compose github.com/docker/compose/v2/cmd
