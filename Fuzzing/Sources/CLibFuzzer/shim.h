#include <stddef.h>
#include <stdint.h>

// libFuzzer as a library (compiler-rt, lib/fuzzer/FuzzerInterface.h): its loop, for programs with a main of their own.
int LLVMFuzzerRunDriver(int *argument_count, char ***arguments, int (*body)(const uint8_t *data, size_t size));
