#!/usr/bin/env bash
# Runs the tests with the sanitizers: AddressSanitizer and UndefinedBehaviorSanitizer over the C kernels, the operators, the loader,
# the runtime and the readers of files, ThreadSanitizer over what runs in parallel. Optimised builds: debug ones are hundreds of
# times slower on numeric loops. With an argument, address or thread, only that one; FILTER is another choice of tests.
set -euo pipefail
cd "$(dirname "$0")/.."

# Refused memory is an error here, as it is without a sanitizer. Swift's own backtraces would wait for answers.
export ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=0
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
export SWIFT_BACKTRACE=enable=no

check() {
    local path=.build-$1 filter=$2 skip=$3
    shift 3
    swift build -c release --build-tests --scratch-path "$path" "$@"
    swift test -c release --skip-build --scratch-path "$path" "$@" --filter "${FILTER:-$filter}" --skip "$skip"
}

# Left out: tests that run the built program, those with full-size models, thousands of cases or long oracles, which would take hours,
# and those of memory's use, which a sanitizer changes.
slow='LargeFile|MemoryTests|NodeCases|OpsTests.ConvolutionTests|ExportedGraph|FusionOnExports|Distribution|DiffusersParity'

address() {
    check asan 'GraphRuntimeTests|ONNXLoaderTests|OpsTests|SDPipelineTests.*(NPY|PNG|JPEG|Mask|Picture|Resize|File|Pixel|Tokenizer|SchedulerUse|SchedulerConfiguration|ConcurrentRun)' \
        "$slow" --sanitize address -Xcc -fsanitize=undefined -Xcc -fno-sanitize-recover=undefined
}

thread() {
    check tsan 'GraphRuntimeTests|OpsTests.*(PackedConstant|MatMul|Attention|Reduction|Layout|Indexing)|ConcurrentRunTests' \
        "$slow" --sanitize thread
}

case ${1:-all} in
address) address ;;
thread) thread ;;
all) address && thread ;;
*) echo "sanitize: address or thread" >&2; exit 64 ;;
esac
