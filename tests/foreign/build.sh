#!/bin/sh
# Builds the Pion client, with two versions of Pion, into build/foreign.
set -eu
cd "$(dirname "$0")/pion"
out=../../../build/foreign
go build -buildvcs=false -trimpath -o "$out/pion" .
go build -buildvcs=false -trimpath -modfile=before_ice_4_0_8.mod -o "$out/pion_before_ice_4_0_8" .
