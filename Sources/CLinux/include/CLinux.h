#pragma once

// What Swift cannot say about the kernel, one header a subject.

#include "eventloop.h"
#include "net.h"
