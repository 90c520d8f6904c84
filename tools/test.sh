#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
#
# Builds Sluice and runs every test.
set -u -o pipefail
. "$(dirname "$0")/lib.sh"

STEPS=(build unit asan fuzz e2e)
# Without the tests in them that are marked as plain.
ASAN_SUITES=(test_path.py test_bad_input.py test_control.py test_durable.py
	test_http_gateway.py test_rooms.py test_rooms_conformance.py test_line_gateway.py
	test_gateway_bounds.py test_gateway_ends.py
	test_json_gateway.py::test_orders_of_message_servers_arrive_once
	test_json_gateway.py::test_commands_are_answered
	test_json_gateway.py::test_what_a_consumer_had_not_read_goes_to_another)
QUICK_SUITES=(test_path.py test_arp.py test_bad_input.py)

usage() {
	cat <<END
usage: tools/test.sh [--quick] [--only STEP]... [--fuzz-seconds N] [--nightly HOURS] [--help]

Installs the Debian packages that are missing, builds, and runs the tests, in these steps:
  build  build/ by the default compiler
  unit   unit and property tests
  asan   build-asan/ with address and undefined behaviour sanitizer: unit and property tests and
         the end-to-end suites
$(printf '           %s\n' "${ASAN_SUITES[@]}")
  fuzz   build-fuzz/ with clang's libFuzzer: each target for a bounded time
  e2e    the end-to-end suites in dts/, on network namespaces (as root)

  --quick           build, unit, and the end-to-end suites ${QUICK_SUITES[*]}
  --only STEP       only this step; may be given more than once
  --fuzz-seconds N  how long each fuzz target runs, 20 by default
  --nightly HOURS   build, and the simulation of durable messages with fresh seeds for so long;
                    one that fails prints its seed

With CI set in the environment, the warnings of build/ are errors.
What failed is named once more at the end. The last line is "N passed, N failed"; the exit code is 0
when nothing failed.
END
}

only=()
suites=()
fuzz_seconds=20
nightly_hours=
while [ $# -gt 0 ]; do
	case $1 in
	--quick)
		only+=(build unit e2e)
		suites=("${QUICK_SUITES[@]}")
		;;
	--only)
		[ $# -ge 2 ] || sl_die "--only needs a step: ${STEPS[*]}"
		case " ${STEPS[*]} " in
		*" $2 "*) only+=("$2") ;;
		*) sl_die "--only $2: no such step; there are: ${STEPS[*]}" ;;
		esac
		shift
		;;
	--fuzz-seconds)
		[[ ${2:-} =~ ^[1-9][0-9]*$ ]] || sl_die "--fuzz-seconds needs a number above 0"
		fuzz_seconds=$2
		shift
		;;
	--nightly)
		[[ ${2:-} =~ ^([0-9]*\.)?[0-9]+$ ]] || sl_die "--nightly needs a number of hours"
		nightly_hours=$2
		only+=(build)
		shift
		;;
	--help | -h)
		usage
		exit 0
		;;
	*) sl_die "$1: unknown option; see --help" ;;
	esac
	shift
done
[ ${#only[@]} -gt 0 ] || only=("${STEPS[@]}")

# Only of the plain build: sanitizers make compilers warn of what is not there.
strict=()
[ -z "${CI:-}" ] || strict=(--werror)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
passed=0
failed=0

# What failed, to be said once more where it is seen.
failures=$work/failures
: >"$failures"

fail() {
	sl_say "FAILED: $*"
	echo "FAILED: $*" >>"$failures"
	failed=$((failed + 1))
}

# Build into a directory; its output is shown when it fails.
build() {
	local started=$SECONDS log=$work/build.log

	sl_say "building ${1#"$SL_ROOT"/}"
	if ! sl_build "$@" >"$log" 2>&1; then
		tail -n 60 "$log"
		fail "the build of $1"
		return 1
	fi
	sl_say "built in $((SECONDS - started)) s"
}

# Add the results of a JUnit report: count WHAT REPORT EXIT-CODE. A step that ran no test has failed,
# and so has one whose report knows nothing of why the exit code is not 0 (a crash).
count() {
	local what=$1 report=$2 code=$3 good bad

	read -r good bad < <("$SL_PYTHON" "$SL_ROOT/tools/junit.py" "$report" 2>"$work/bad") || {
		cat "$work/bad" >&2
		fail "$what: no results in $report"
		return
	}
	[ "$bad" -eq 0 ] || { echo "FAILED: $what:" && cat "$work/bad"; } >>"$failures"
	passed=$((passed + good))
	failed=$((failed + bad))
	sl_say "$what: $good passed, $bad failed"
	[ $((good + bad)) -gt 0 ] || fail "$what ran no test"
	[ "$code" -eq 0 ] || [ "$bad" -gt 0 ] || fail "$what: exit code $code"
}

# cmocka's programs, one result for each of their tests: unit_tests BUILD-DIRECTORY
unit_tests() {
	rm -f "$1/meson-logs/testlog.junit.xml"
	meson test -C "$1" --no-rebuild --print-errorlogs --timeout-multiplier 2
	count "unit and property tests in ${1##*/}" "$1/meson-logs/testlog.junit.xml" $?
}

# pytest suites: end_to_end BUILD-DIRECTORY SUITE...
end_to_end() {
	local dir=$1 report=$work/pytest.xml
	shift

	if [ "$(id -u)" -ne 0 ]; then
		fail "the end-to-end suites make network namespaces: run tools/test.sh as root"
		return
	fi
	rm -f "$report"
	(cd "$SL_ROOT/dts" && SLUICE_BUILD=$dir "$SL_PYTHON" -m pytest -p no:cacheprovider \
		--durations=5 --junitxml="$report" "$@")
	count "end-to-end tests with ${dir##*/}" "$report" $?
}

step_build() {
	build "$SL_ROOT/build" "${strict[@]}"
}

step_unit() {
	step_build && unit_tests "$SL_ROOT/build"
}

step_asan() {
	local dir=$SL_ROOT/build-asan

	build "$dir" -Db_sanitize=address,undefined -Doptimization=1 || return
	export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
	unit_tests "$dir"
	end_to_end "$dir" -m "not plain" "${ASAN_SUITES[@]}"
	unset UBSAN_OPTIONS
}

# One target for its time, and what it said in a file: fuzz_one PROGRAM LOG
fuzz_one() {
	local name=${1##*/fuzz_} dict=()
	local corpus=$work/corpus-$name seeds=$SL_ROOT/tests/fuzz/corpus/$name

	if ! mkdir "$corpus" || ! cp -r "$seeds/." "$corpus/"; then
		echo "there is no corpus in tests/fuzz/corpus/$name"
		return 1
	fi
	[ ! -f "$SL_ROOT/tests/fuzz/$name.dict" ] || dict=("-dict=$SL_ROOT/tests/fuzz/$name.dict")
	"$1" "${dict[@]}" -max_total_time="$fuzz_seconds" -timeout=10 -print_final_stats=1 \
		-artifact_prefix="${1%/tests/*}/" "$corpus"
}

# As many targets at a time as there are processors.
step_fuzz() {
	local dir=$SL_ROOT/build-fuzz target name targets=() running=0 log

	sl_need_packages "${SL_FUZZ_PACKAGES[@]}"
	CC=clang-14 SL_TARGET=fuzzers build "$dir" -Db_sanitize=address,undefined -Dfuzzers=true \
		-Dc_args=-fsanitize=fuzzer-no-link \
		-Doptimization=1 || return
	for target in "$dir"/tests/fuzz_*; do
		[ ! -f "$target" ] || [ ! -x "$target" ] || targets+=("$target")
	done
	[ ${#targets[@]} -gt 0 ] || fail "there is no fuzz target in $dir/tests"
	sl_say "${#targets[@]} fuzz targets, each for $fuzz_seconds s"
	for target in "${targets[@]}"; do
		if [ "$running" -eq "$(nproc)" ]; then
			wait -n
			running=$((running - 1))
		fi
		running=$((running + 1))
		name=${target##*/}
		{
			fuzz_one "$target"
			echo $? >"$work/$name.exit"
		} >"$work/$name.log" 2>&1 &
	done
	wait
	for target in "${targets[@]}"; do
		name=${target##*/}
		log=$work/$name.log
		if [ "$(cat "$work/$name.exit")" -eq 0 ] &&
			grep -qE 'stat::number_of_executed_units: +[1-9]' "$log"; then
			passed=$((passed + 1))
			sl_say "$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs"
		else
			tail -n 60 "$log"
			fail "$name; its input is in $dir/"
		fi
	done
}

step_e2e() {
	step_build || return
	sl_try_huge_pages
	end_to_end "$SL_ROOT/build" "${suites[@]}"
}

# The simulation, one result for all of its runs.
nightly() {
	sl_say "simulation with fresh seeds for $nightly_hours h"
	if "$SL_ROOT/build/tests/sluice-sim" --nightly "$nightly_hours"; then
		passed=$((passed + 1))
	else
		fail "the simulation: --seed repeats it"
	fi
}

sl_need_packages "${SL_BUILD_PACKAGES[@]}" "${SL_RUN_PACKAGES[@]}" "${SL_TEST_PACKAGES[@]}"
for step in "${STEPS[@]}"; do
	case " ${only[*]} " in
	*" $step "*) ;;
	*) continue ;;
	esac
	started=$SECONDS
	sl_say "step $step ($SECONDS s so far)"
	"step_$step"
	sl_say "step $step took $((SECONDS - started)) s"
done
[ -z "$nightly_hours" ] || [ "$failed" -gt 0 ] || nightly
[ $((passed + failed)) -gt 0 ] || [ "${only[*]}" = build ] || fail "no test ran"
cat "$failures"
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
