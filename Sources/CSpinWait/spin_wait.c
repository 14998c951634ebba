#include "include/CSpinWait.h"
