#ifndef CMAPPEDFILEGUARD_H
#define CMAPPEDFILEGUARD_H

#include <stddef.h>

/// Handles SIGBUS in registered ranges from now on: see mapped_file_guard.c.
///
/// Returns 0, or the value of errno where the handler couldn't be installed.
int mapped_file_guard_install(void);

/// Registers a mapped range, whose start lies on a page. Returns a handle, or NULL where there is no memory for one.
void *mapped_file_guard_add(const void *base, size_t length);

/// Forgets a range, before it is unmapped.
void mapped_file_guard_remove(void *handle);

/// Whether pages of the range got lost.
int mapped_file_guard_is_lost(const void *handle);

/// How often pages of any range got lost since the process began.
size_t mapped_file_guard_loss_count(void);

#endif
