#!/bin/sh
# lint.sh BUILD_DIR: every static check; prints what is wrong, exit 1 if anything is.
set -u
cd "$(dirname "$0")/../.." || exit 1
bad=0
step() {
	name=$1
	begun=$(date +%s)
	shift
	if out=$("$@" 2>&1); then
		echo "lint: $name: ok ($(($(date +%s) - begun)) s)"
	else
		printf '%s\n' "$out"
		echo "lint: $name: FAILED"
		bad=1
	fi
}
sources=$(git ls-files '*.c' '*.h')
scripts=$(git ls-files '*.sh' '*.bash' '*.bats' 'tests/suite/*' 'tests/soak/*' .ci/run)

# shellcheck disable=SC2086 # lists of files
step clang-format clang-format --dry-run --Werror $sources
step arrows tests/lint/arrows.sh
step shape tests/lint/shape.sh
# shellcheck disable=SC2086
step shellcheck shellcheck $scripts
# shellcheck disable=SC2086
step cppcheck cppcheck --quiet --error-exitcode=1 -j"$(nproc)" --std=c11 --enable=warning,portability \
	--inline-suppr --suppressions-list=tests/lint/cppcheck.suppress -I. $sources
step build make -s all "$1/libberth.a" "$1/gen/berth.container.5" "$1/gen/berth.volume.5" "$1/gen/berth.image.5" compdb \
	"$1/bench/start" "$1/bench/net" "$1/bench/empty" "$1/bench/respawn" "$1/bench/timed"
step symbols tests/lint/symbols.sh "$1/libberth.a"
step links tests/lint/links.sh "$1"
step mandoc mandoc -Tlint -W warning docs/*.[18] "$1"/gen/berth.*.5
step clang-tidy tests/lint/tidy.sh
exit $bad
