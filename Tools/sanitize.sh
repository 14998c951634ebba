#!/usr/bin/env bash
# Runs the tests with the sanitizers: AddressSanitizer and UndefinedBehaviorSanitizer over the C kernels, the operators, the loader,
# the runtime and the readers of files, ThreadSanitizer over what runs in parallel. With an argument, address or thread, only that one;
# FILTER is another choice of tests.
set -euo pipefail
cd "$(dirname "$0")/.."

# Refused memory is an error here, as it is without a sanitizer. The tests of mapped files that shrink need SIGBUS as it is.
# Swift's own backtraces would wait for answers.
export ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=0:handle_sigbus=0
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:allocator_may_return_null=1:suppressions=$PWD/Tools/sanitize/suppressions.txt
export SWIFT_BACKTRACE=enable=no

# Builds and runs the tests of a filter.
check() {
    local path=.build-$1 configuration=$2 filter=$3
    shift 3
    local options=(-c "$configuration" --scratch-path "$path" "$@")
    swift build --build-tests "${options[@]}"
    swift test --skip-build "${options[@]}" --filter "${FILTER:-$filter}" --skip "$slow"
}

# Left out: tests that run the built program, those with full-size models, thousands of cases or long oracles, which would take hours,
# and those of the use of memory and time, which a sanitizer changes.
slow='aMegabyte|LargeFile|MemoryTests|foldingHasADefaultBudget|NodeCases|OpsTests.ConvolutionTests|ExportedGraph|FusionOnExports|Distribution|DiffusersParity'

# Optimised: loops of tests over all numbers of a kind would take many minutes otherwise. Weights in a mapped file may lie at any address, and
# kernels read them so (Tensor.isAligned), which the processors allow.
address() {
    check asan release 'GraphRuntimeTests|ONNXLoaderTests|OpsTests|SDPipelineTests.*(NPY|PNG|JPEG|Mask|Picture|Resize|File|Pixel|Tokenizer|SchedulerUse|SchedulerConfiguration|ConcurrentRun)' \
        --sanitize address -Xcc -fsanitize=undefined -Xcc -fno-sanitize-recover=undefined -Xcc -fno-sanitize=alignment
}

# Not optimised but for C, which builds in half the time: what runs in parallel is tried on small graphs.
thread() {
    mkdir -p .build-tsan
    "$(dirname "$(readlink -f "$(command -v swift)")")/clang" -c -O1 -fPIC Tools/sanitize/mutex.c -o .build-tsan/mutex.o
    check tsan debug 'GraphRuntimeTests|OpsTests.*PackedConstant|ConcurrentRunTests' \
        --sanitize thread -Xcc -O2 -Xlinker "$PWD/.build-tsan/mutex.o"
}

case ${1:-all} in
address) address ;;
thread) thread ;;
all) address && thread ;;
*) echo "sanitize: address or thread" >&2; exit 64 ;;
esac
