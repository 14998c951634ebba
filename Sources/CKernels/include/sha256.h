#pragma once

#include <stddef.h>
#include <stdint.h>

// Mixes whole blocks of 64 bytes into a state of SHA-256 (FIPS 180-4, section 6.2.2), with the processor's own instructions where it has them.
void ck_sha256(uint32_t state[8], const uint8_t *blocks, size_t count);
