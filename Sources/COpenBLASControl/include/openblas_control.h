// What OpenBLAS takes for itself: threads and memory. Both functions meet OpenBLAS where its own headers have no setting.
#pragma once

/// How many threads OpenBLAS may have, the calling one included: 1.
///
/// OpenBLAS starts its threads while the program is loaded, before any of its functions can be called, and asks a function of this
/// name how many the environment variable OPENBLAS_NUM_THREADS states. The dynamic linker takes the one that it finds first, which
/// is the program's: no thread is started, and no buffer reserved for it, whatever the environment says and without changing it. An
/// OpenBLAS that doesn't ask starts its threads, and openblas_set_num_threads(1) then leaves them idle.
int openblas_num_threads_env(void);

/// Has OpenBLAS reserve one more of the buffers that each of its calls works in. It keeps them, and calls that run at the same time
/// each need one.
///
/// A call that finds no memory for its buffer tries again for ever, so the memory is asked for here first.
///
/// Returns 0 where there isn't enough.
int openblas_add_buffer(void);
