#include <malloc.h>

#include "pages.h"
#include "syscalls.h"

void lab_give_back_memory(void) {
    lab_forget_pages(-1);
    malloc_trim(0);
}
