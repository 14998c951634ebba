#pragma once
#include "normalization.h"
