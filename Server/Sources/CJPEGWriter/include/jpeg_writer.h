#ifndef JPEG_WRITER_H
#define JPEG_WRITER_H

#include <stddef.h>

/// Encodes 8-bit red, green and blue values, interleaved row by row, as a baseline JPEG.
///
/// Returns the file in memory of malloc, which the caller frees, with its size; NULL where it can't be made, with a sentence in `reason`.
unsigned char *jpeg_writer_encode(const unsigned char *pixels, int width, int height, int quality, size_t *size, char *reason,
                                  size_t reason_size);

/// Frees what `jpeg_writer_encode` gave.
void jpeg_writer_free(unsigned char *file);

#endif
