#pragma once

// What Swift cannot say about the kernel. See `stage.h` for the code that runs before the Swift runtime.

#include "stage.h"
#include "syscalls.h"
