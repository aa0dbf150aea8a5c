#!/bin/sh
# Builds a real Jaeger and telemetrygen into .cache/backends/, for the tests that read traces back; 2 to 8 minutes the
# first time. Needs `go` (1.25 or newer) and the Go module proxy. Run it from anywhere: sh tests/build_backends.sh
set -eu

jaeger=v1.76.0 # the module of Jaeger 2.13: releases of 2.x have no tags that the module proxy resolves
telemetrygen=v0.160.0
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cache=$root/.cache/backends
mkdir -p "$cache"

# local: never fetch another Go behind the user's back; 0: static binaries.
export CGO_ENABLED=0 GOTOOLCHAIN=local

# What a binary was built of stands beside it, so that a second run costs nothing.
is_there() {
    [ -x "$cache/$1" ] && [ "$(cat "$cache/$1.version" 2>/dev/null)" = "$2" ]
}

if is_there jaeger "$jaeger"; then
    echo "jaeger $jaeger is up to date"
else
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    # A module with a replacement can not be installed by name; one that requires it and repeats the replacement can be.
    cat >"$work/go.mod" <<MODULE
module backends

go 1.25

require github.com/jaegertracing/jaeger $jaeger

replace github.com/Shopify/sarama => github.com/Shopify/sarama v1.33.0
MODULE
    (cd "$work" && go build -mod=mod -o "$cache/jaeger" github.com/jaegertracing/jaeger/cmd/jaeger)
    echo "$jaeger" >"$cache/jaeger.version"
fi

if is_there telemetrygen "$telemetrygen"; then
    echo "telemetrygen $telemetrygen is up to date"
else
    module=github.com/open-telemetry/opentelemetry-collector-contrib/cmd/telemetrygen
    GOBIN=$cache go install "$module@$telemetrygen"
    echo "$telemetrygen" >"$cache/telemetrygen.version"
fi
