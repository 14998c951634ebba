#!/usr/bin/env bash
# Feeds mutated files to everything that reads untrusted ones (Fuzzing/Sources/fuzz), with libFuzzer, AddressSanitizer and
# UndefinedBehaviorSanitizer. SECONDS_EACH is the time for a target (60 unless given); TARGETS names some of them; JOBS run at a time
# (as many as there are processors unless given).
#
#     SECONDS_EACH=3600 Tools/fuzz.sh              an hour each
#     TARGETS="png npy" Tools/fuzz.sh              two of them
#     Tools/fuzz.sh png .build-fuzz/findings/…     one input again, with its backtrace
#
# What is found is kept under .build-fuzz/findings, the grown corpus under .build-fuzz/corpus.
set -euo pipefail
cd "$(dirname "$0")/.."

targets=${TARGETS:-graph external tokenizer scheduler configuration png jpeg metadata npy npz value embedding adapter}
seconds=${SECONDS_EACH:-60}
jobs=${JOBS:-$(nproc)}
build=$PWD/.build-fuzz

# The runtime's folder has a version in its name that is the toolchain's own matter.
toolchain=$(dirname "$(dirname "$(readlink -f "$(command -v swift)")")")
runtime=$(find "$toolchain/lib/clang" -name "libclang_rt.fuzzer_no_main-$(uname -m).a" | head -n 1)
if [ -z "$runtime" ]; then echo "fuzz: this toolchain has no libFuzzer" >&2; exit 1; fi

# Weights in a mapped file may lie at any address, which kernels read as the processors allow (see Tools/sanitize.sh).
options=(-c release --package-path Fuzzing --scratch-path "$build" --sanitize address -Xcc -fno-sanitize-recover=undefined
    -Xswiftc -Xfrontend -Xswiftc -sanitize=fuzzer -Xcc -fsanitize=undefined,fuzzer-no-link -Xcc -fno-sanitize=alignment
    -Xlinker "$runtime" -Xlinker -lstdc++)
swift build "${options[@]}"
fuzz=$(swift build "${options[@]}" --show-bin-path)/fuzz

# A refused allocation is an error that the program must handle; undefined behaviour is a finding. Swift's own backtraces would wait
# for answers.
export ASAN_OPTIONS=max_allocation_size_mb=512:allocator_may_return_null=1:detect_leaks=0
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export SWIFT_BACKTRACE=enable=no

if [ $# -gt 0 ]; then exec "$fuzz" "$@"; fi

# Small files of the tests, by the name that their readers give them.
seeds() {
    case $1 in
    graph) find Tests -name '*.onnx' -size -32k ;;
    external) find Tests/ONNXLoaderTests/Fixtures/external* -name '*.onnx' -size -32k ;;
    scheduler) find Models -name scheduler_config.json ;;
    png) find Tests -name '*.png' -size -12k ;;
    npy) find Tests -name '*.npy' -size -12k ;;
    npz) find Tests -name '*.npz' -size -12k ;;
    value) find Tests -name '*.pb' -type f -size -12k ;;
    embedding | adapter) find Tests -name '*.safetensors' -size -12k ;;
    esac
}

# Fuzzes a target, and prints what came of it at its end, so that targets that run at a time don't mix their lines.
run_target() {
    local target=$1 corpus=$build/corpus/$1 report
    mkdir -p "$corpus" "$build/findings"
    local folders=("$corpus") status=0
    if [ -d "Fuzzing/Seeds/$target" ]; then folders+=("Fuzzing/Seeds/$target"); fi
    seeds "$target" | while read -r file; do cp "$file" "$corpus/seed-$(cksum < "$file" | cut -d ' ' -f 1)"; done
    "$fuzz" "$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -malloc_limit_mb=4096 -max_len=65536 \
        -print_final_stats=1 -artifact_prefix="$build/findings/$target-" "${folders[@]}" > "$build/$target.log" 2>&1 &
    # Jobs of a script ignore Ctrl-C; see the trap below.
    trap "kill $!" TERM
    wait $! || status=1
    report="fuzz: $target, $seconds s"$'\n'
    if [ $status -ne 0 ]; then
        report+=$(grep -E 'ERROR|SUMMARY|runtime error|Fatal error|Test unit written' "$build/$target.log" | head -n 8 || true)$'\n'
    fi
    report+=$(grep -E 'stat::(number_of_executed_units|peak_rss_mb)|^#.*DONE' "$build/$target.log" | sed 's/^/    /' || true)
    echo "$report"
    return $status
}

failed=
declare -A running=()
trap 'kill "${!running[@]}" 2> /dev/null || true' EXIT
# Waits for one target to end.
collect() {
    local process status=0
    wait -n -p process "${!running[@]}" || status=$?
    if [ $status -ne 0 ]; then failed="$failed ${running[$process]}"; fi
    unset "running[$process]"
}
for target in $targets; do
    while [ ${#running[@]} -ge "$jobs" ]; do collect; done
    run_target "$target" &
    running[$!]=$target
done
while [ ${#running[@]} -gt 0 ]; do collect; done
if [ -n "$failed" ]; then
    echo "fuzz: findings in$failed; the inputs are in .build-fuzz/findings, the messages in .build-fuzz/*.log" >&2
    exit 1
fi
