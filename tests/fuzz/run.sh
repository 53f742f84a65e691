#!/bin/sh
# run.sh SECONDS FUZZER…: each fuzzer on its corpus in the tree, new finds kept in build/fuzz/.
set -eu
cd "$(dirname "$0")/../.."
seconds=$1
shift
for fuzzer; do
	name=${fuzzer##*/fuzz_}
	finds=build/fuzz/corpus/$name
	mkdir -p "$finds"
	echo "fuzz: $name for $seconds s"
	"$fuzzer" -max_total_time="$seconds" -max_len=65536 -timeout=10 -rss_limit_mb=1024 \
		-print_final_stats=1 -verbosity=0 -artifact_prefix="build/fuzz/$name-" \
		"$finds" "tests/fuzz/corpus/$name"
done
