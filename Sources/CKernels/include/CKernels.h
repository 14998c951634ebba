#pragma once

#include "attention.h"
#include "bfloat16.h"
#include "byte_windows.h"
#include "direct_convolution.h"
#include "elementwise.h"
#include "gemm.h"
#include "half_precision.h"
#include "integer_product.h"
#include "normalization.h"
#include "peak.h"
#include "sha256.h"
#include "winograd.h"
