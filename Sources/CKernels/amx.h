// What kernels for AMX have in common, see include/amx.h.
#pragma once

#include "include/amx.h"
#include "pairs.h"

#if defined(__x86_64__)
#define TARGET_AMX __attribute__((target("amx-tile,amx-bf16,amx-int8,avx512f,avx512vl,avx512bw,avx512dq,avx512bf16"), min_vector_width(512)))
#endif

// Whether the processor's own instructions run: ck_has_amx(), unless that is for a test in plain C.
int ck_runs_amx(void);
