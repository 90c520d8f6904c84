#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
#
# Write the traffic that Pktgen sends: a pcap file, made by sluice-gen. More options of sluice-gen
# may follow the file's name and override what stands below.
set -eu

usage="usage: tools/pktgen/make-pcap.sh FILE [SLUICE-GEN OPTIONS]"
root=$(cd "$(dirname "$0")/../.." && pwd)
build=${SLUICE_BUILD:-$root/build}
gen=$build/app/sluice-gen/sluice-gen

if [ $# -lt 1 ] || [ "$1" = --help ]; then
	echo "$usage" >&2
	exit 1
fi
if [ ! -x "$gen" ]; then
	echo "make-pcap.sh: $gen is not there: build it (ninja -C build) or set SLUICE_BUILD" >&2
	exit 1
fi
file=$1
shift

# The addresses are those of appliance.yaml beside this script; 262144 messages are few enough for
# Pktgen to hold in memory (it copies every frame into an mbuf of its own).
exec "$gen" -- --pcap "$file" --count 262144 --size 128 \
	--sources 16 --destinations 8 --classes 1:20,2:30,3:50 \
	--src-ip 10.77.0.2 --dst-ip 10.77.0.1 \
	--tx-mac 02:00:00:00:01:00 --dst-mac 02:00:00:00:02:00 "$@"
