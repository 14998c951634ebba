#include <stddef.h>
#include <stdint.h>

// Decodes a PNG to interleaved 8-bit red, green, blue and alpha, row by row from the top. Stored values, as they are: no gamma, no colour
// space; of 16 bits the upper eight. What is opaque has an alpha of 255.
//
// `pixels` has `capacity` bytes, four for each pixel of the header. Returns 1, or 0 with a reason in `message`.
//
// libpng reports errors by longjmp, which may not pass through Swift: here it passes through C alone.
int png_reader_decode(const uint8_t *bytes, size_t count, uint8_t *pixels, size_t capacity, char *message, size_t message_size);
