// A file that is mapped and then becomes shorter, or can't be read any more, raises SIGBUS where a lost page is touched. For faults
// within registered ranges the handler puts zeros in the place of the rest of the range, so that the thread can go on, and marks
// the range: whoever reads it looks at the mark before a result counts. All other faults go to the handler that was there before.
//
// The handler may run at any instant, on any thread: it touches nothing but lock-free atomics and calls nothing but mmap, sigaction
// and the handler before it. POSIX doesn't list mmap as safe in a handler, but on Linux and macOS it is a system call and no more.

#define _DEFAULT_SOURCE
#include "CMappedFileGuard.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif

/// A registered range; free while `length` is 0. Never given back to the system, as the handler may be looking at it.
struct range {
    _Atomic uintptr_t base;
    _Atomic size_t length;
    atomic_int is_taken;
    atomic_int is_lost;
    struct range *next;
};

static _Atomic(struct range *) ranges;
static atomic_size_t free_count;
static atomic_size_t loss_count;
static struct sigaction previous;
static atomic_int is_installed;
static size_t page_size = 4096;

/// Whether a page is missing; otherwise the signal was sent, and has no address.
static int is_fault(const siginfo_t *info) { return info->si_code > 0; }

static void forward(int number, siginfo_t *info, void *context) {
    if (previous.sa_flags & SA_SIGINFO) {
        previous.sa_sigaction(number, info, context);
    } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
        previous.sa_handler(number);
    } else if (is_fault(info) || previous.sa_handler == SIG_DFL) {
        struct sigaction standard = {0};
        standard.sa_handler = SIG_DFL;
        sigemptyset(&standard.sa_mask);
        sigaction(number, &standard, NULL);
        // A fault is raised again on return, and now ends the process as it would have without this handler. A signal that was sent
        // isn't: it waits until this handler has returned.
        if (!is_fault(info)) raise(number);
    }
}

static void handle(int number, siginfo_t *info, void *context) {
    const int saved = errno;
    const uintptr_t address = (uintptr_t)info->si_addr;
    for (struct range *range = is_fault(info) ? atomic_load(&ranges) : NULL; range; range = range->next) {
        const size_t length = atomic_load(&range->length);
        const uintptr_t base = atomic_load(&range->base);
        if (address < base || address - base >= length || atomic_load(&range->length) != length) continue;
        // All of the rest at once: a fault for each page of a large file would take minutes.
        const uintptr_t start = address - address % page_size;
        void *zeros = mmap((void *)start, base + length - start, PROT_READ, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, -1, 0);
        if (zeros == MAP_FAILED) break;
        atomic_store(&range->is_lost, 1);
        atomic_fetch_add(&loss_count, 1);
        errno = saved;
        return;
    }
    forward(number, info, context);
    errno = saved;
}

int mapped_file_guard_install(void) {
    int expected = 0;
    if (!atomic_compare_exchange_strong(&is_installed, &expected, 1)) return 0;
    const long size = sysconf(_SC_PAGESIZE);
    if (size > 0) page_size = (size_t)size;
    struct sigaction action = {0};
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    // First what was there, so that the new handler never runs without knowing it.
    if (sigaction(SIGBUS, NULL, &previous) != 0 || sigaction(SIGBUS, &action, NULL) != 0) {
        atomic_store(&is_installed, 0);
        return errno;
    }
    return 0;
}

void *mapped_file_guard_add(const void *base, size_t length) {
    const size_t size = (size_t)sysconf(_SC_PAGESIZE);
    const size_t pages = (length + size - 1) / size * size;
    struct range *range = atomic_load(&free_count) > 0 ? atomic_load(&ranges) : NULL;
    for (; range; range = range->next) {
        int expected = 0;
        if (atomic_compare_exchange_strong(&range->is_taken, &expected, 1)) {
            atomic_fetch_sub(&free_count, 1);
            break;
        }
    }
    if (!range) {
        range = calloc(1, sizeof *range);
        if (!range) return NULL;
        atomic_store(&range->is_taken, 1);
        struct range *first = atomic_load(&ranges);
        do {
            range->next = first;
        } while (!atomic_compare_exchange_weak(&ranges, &first, range));
    }
    atomic_store(&range->is_lost, 0);
    atomic_store(&range->base, (uintptr_t)base);
    // Last: from now on the handler sees it.
    atomic_store(&range->length, pages);
    return range;
}

void mapped_file_guard_remove(void *handle) {
    struct range *range = handle;
    if (!range) return;
    atomic_store(&range->length, 0);
    atomic_fetch_add(&free_count, 1);
    atomic_store(&range->is_taken, 0);
}

int mapped_file_guard_is_lost(const void *handle) {
    return handle ? atomic_load(&((const struct range *)handle)->is_lost) : 0;
}

size_t mapped_file_guard_loss_count(void) { return atomic_load(&loss_count); }
