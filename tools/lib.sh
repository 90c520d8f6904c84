# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
# shellcheck shell=bash disable=SC2034
#
# Sourced by demo.sh, test.sh and bench.sh: the packages that are missing, the build, huge pages.
# Nothing here changes what is already as it should be, so that a second run is quick.

SL_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
SL_BUILD=${SLUICE_BUILD:-$SL_ROOT/build}
SL_PYTHON=/usr/bin/python3 # Debian's, which sees Debian's packages

SL_BUILD_PACKAGES=(gcc libc6-dev meson ninja-build pkg-config libdpdk-dev libprotobuf-c-dev
	protobuf-c-compiler libcyaml-dev libyaml-dev libevent-dev libjansson-dev
	libcurl4-openssl-dev libssl-dev libsystemd-dev libxxhash-dev libcmocka-dev libmicrohttpd-dev libpq-dev
	libsqlite3-dev libwslay-dev)
SL_RUN_PACKAGES=(procps iproute2 ethtool iputils-ping protobuf-compiler python3 python3-protobuf
	python3-yaml python3-scapy)
SL_TEST_PACKAGES=(python3-pytest python3-pip python3-setuptools python3-pexpect
	python3-prometheus-client python3-selenium python3-websocket chromium
	chromium-driver prometheus man-db dpdk-dev g++ postgresql openssl netcat-openbsd curl)
SL_FUZZ_PACKAGES=(clang-14 libclang-rt-14-dev)

sl_say() {
	printf '== %s\n' "$*"
}

sl_die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

sl_need_root() {
	[ "$(id -u)" -eq 0 ] || sl_die "$1; run it as root: sudo $0"
}

# Install those of the Debian packages named that are missing.
sl_need_packages() {
	local package missing=()

	command -v dpkg-query >/dev/null ||
		sl_die "this is no Debian machine; see README.md for what has to be there: $*"
	for package in "$@"; do
		dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null |
			grep -qx installed || missing+=("$package")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	sl_say "installing ${missing[*]}"
	[ "$(id -u)" -eq 0 ] ||
		sl_die "packages are missing; install them: sudo apt-get install ${missing[*]}"
	sl_install "${missing[@]}" || {
		apt-get update && sl_install "${missing[@]}"
	} || sl_die "apt-get could not install: ${missing[*]}"
}

sl_install() {
	DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" </dev/null
}

# Configure, once, and build, all or SL_TARGET: sl_build DIRECTORY [MESON-OPTION...]
sl_build() {
	local dir=$1
	shift

	if [ -f "$dir/build.ninja" ]; then
		[ $# -eq 0 ] || meson configure "$dir" "$@" >/dev/null ||
			sl_die "$dir does not take the options $*; remove it and run again"
	else
		meson setup "$dir" "$SL_ROOT" "$@" || return 1
	fi
	ninja -C "$dir" "${SL_TARGET:-all}"
}

# EAL finds huge pages through a mount; minimal systems come without one.
sl_try_mount_huge_pages() {
	grep -qs ' hugetlbfs ' /proc/mounts && return
	{ mkdir -p /dev/hugepages && mount -t hugetlbfs nodev /dev/hugepages; } 2>/dev/null &&
		sl_say "mounted /dev/hugepages"
}

# Reserve huge pages (1024 unless told) when there are fewer and memory is plenty; without, everything
# still runs.
sl_try_huge_pages() {
	local pages=${1:-1024} have available_kb

	have=$(awk '/^HugePages_Total/ { print $2 }' /proc/meminfo)
	available_kb=$(awk '/^MemAvailable/ { print $2 }' /proc/meminfo)
	sl_try_mount_huge_pages
	[ "${have:-0}" -lt "$pages" ] || return 0
	if [ "$available_kb" -gt $((8 << 20)) ] &&
		sysctl -qw vm.nr_hugepages="$pages" 2>/dev/null; then
		sl_say "reserved $pages huge pages (to give them back: sysctl -w vm.nr_hugepages=${have:-0})"
	else
		sl_say "no huge pages reserved: running without"
	fi
}

# Shared memory that processes pass to each other, memif's rings and buffers, in huge pages, too.
sl_try_huge_shared_memory() {
	local file=/sys/kernel/mm/transparent_hugepage/shmem_enabled was

	was=$(sed 's/.*\[\(.*\)\].*/\1/' "$file" 2>/dev/null) || return 0
	[ "$was" != always ] || return 0
	if echo always 2>/dev/null >"$file"; then
		sl_say "shared memory in huge pages (to undo it: echo $was > $file)"
	fi
}
