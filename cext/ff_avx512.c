#include "ff_internal.h"
