#!/bin/sh
# lint.sh BUILD_DIR: every static check; prints what is wrong, exit 1 if anything is.
set -u
cd "$(dirname "$0")/../.." || exit 1
bad=0
step() {
	name=$1
	shift
	if out=$("$@" 2>&1); then
		echo "lint: $name: ok"
	else
		printf '%s\n' "$out"
		echo "lint: $name: FAILED"
		bad=1
	fi
}
sources=$(git ls-files '*.c' '*.h')
scripts=$(git ls-files '*.sh' '*.bash' '*.bats' 'tests/suite/*' .ci/run)

# shellcheck disable=SC2086 # lists of files
step clang-format clang-format --dry-run --Werror $sources
step arrows tests/lint/arrows.sh
# shellcheck disable=SC2086
step shellcheck shellcheck $scripts
# shellcheck disable=SC2086
step cppcheck cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,portability \
	--inline-suppr --suppressions-list=tests/lint/cppcheck.suppress -I. $sources
make -s compdb
# shellcheck disable=SC2317 # called by name, through step
tidy() {
	git ls-files '*.c' | grep -v -e '^tests/probe' -e '^tests/fuse' -e '^supervisor/init' |
		xargs -P "$(nproc)" -n 4 clang-tidy --quiet -p . --warnings-as-errors='*' 2>/dev/null
}
make -s "$1/libberth.a" && step symbols tests/lint/symbols.sh "$1/libberth.a"
make -s "$1/gen/berth.container.5"
step mandoc mandoc -Tlint -W warning docs/*.8 "$1/gen/berth.container.5"
step clang-tidy tidy
exit $bad
