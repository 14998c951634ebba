#pragma once

// Tells the processor that the thread looks at a number again and again until another thread changes it: it then leaves more of a shared
// core to the other thread.
static inline void csw_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}
