#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
#
# Builds Sluice and measures it against dpdk-testpmd on the same rig, and parts of it against
# others. Options: tools/bench.sh --help
set -eu -o pipefail
. "$(dirname "$0")/lib.sh"

case " $* " in
*" --help "* | *" -h "*) exec "$SL_PYTHON" "$SL_ROOT/tools/bench/bench.py" --help ;;
esac
sl_need_root "the benchmark reserves huge pages"
sl_need_packages "${SL_BUILD_PACKAGES[@]}" "${SL_RUN_PACKAGES[@]}" dpdk postgresql \
	nats-server nginx-light apache2-utils
sl_say "building ${SL_BUILD##*/}"
sl_build "$SL_BUILD" >/dev/null
sl_try_huge_pages 3072
sl_try_huge_shared_memory
exec "$SL_PYTHON" "$SL_ROOT/tools/bench/bench.py" --build "$SL_BUILD" "$@"
