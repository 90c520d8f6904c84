#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
#
# The main job on real traffic: four servers send the orders of a restaurant, Sluice deduplicates
# them and hands each, by priority, to the kitchen of its table. See --help.
set -eu -o pipefail
. "$(dirname "$0")/lib.sh"

case " $* " in
*" --help "* | *" -h "*) exec "$SL_PYTHON" "$SL_ROOT/tools/demo/demo.py" --help ;;
esac
sl_need_root "the demo makes network namespaces"
sl_need_packages "${SL_BUILD_PACKAGES[@]}" "${SL_RUN_PACKAGES[@]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
sl_say "building ${SL_BUILD#"$SL_ROOT"/}"
sl_build "$SL_BUILD" >"$log" 2>&1 || {
	tail -n 40 "$log"
	sl_die "the build failed; the lines above say why"
}
rm -f "$log"
exec "$SL_PYTHON" "$SL_ROOT/tools/demo/demo.py" "$@"
