#pragma once

// What Swift cannot say about the kernel, one header a subject.
// `stage.h` is the code that runs before the Swift runtime.

#include "copy.h"
#include "eventloop.h"
#include "net.h"
#include "pages.h"
#include "stage.h"
#include "syscalls.h"
