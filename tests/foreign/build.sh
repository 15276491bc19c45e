#!/bin/sh
# Builds the clients that are programs of their own, into build/foreign: the one on Pion, with two versions of Pion.
set -eu
cd "$(dirname "$0")/pion"
out=../../../build/foreign
go build -buildvcs=false -trimpath -o "$out/pion" .
go build -buildvcs=false -trimpath -modfile=before_ice_4_0_8.mod -o "$out/pion_before_ice_4_0_8" .
