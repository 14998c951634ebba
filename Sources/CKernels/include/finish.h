#pragma once

// What becomes of a sum before it is written, see ck_clip() and the others in elementwise.h.
enum {
    CK_FINISH_SUM = 0,
    // Brought into a…b.
    CK_FINISH_CLIP = 1,
    CK_FINISH_RELU = 2,
    // a x where negative.
    CK_FINISH_LEAKY_RELU = 3,
    // Infinite beyond a.
    CK_FINISH_HARD_SWISH = 4,
    // Of a x + b.
    CK_FINISH_HARD_SIGMOID = 5,
    CK_FINISH_SILU = 6
};

typedef struct {
    int activation;
    float a;
    float b;
} ck_finish;
