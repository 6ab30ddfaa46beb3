#define _GNU_SOURCE
#include "include/pages.h"

#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, BATCH = 64 };

// /proc/PID/pagemap has eight bytes for each page of the address space.
static const uint64_t PRESENT = 1ull << 63, OF_FILE = 1ull << 61;

// Of a writable segment only what is still the file's: what was written to is this process's own.
static void forget_clean(int pagemap, uintptr_t start, uintptr_t end) {
    uint64_t entries[BATCH];
    while (start < end) {
        size_t count = (end - start) / PAGE;
        if (count > BATCH) count = BATCH;
        ssize_t got = pread(pagemap, entries, count * sizeof *entries, (off_t)(start / PAGE * sizeof *entries));
        if (got != (ssize_t)(count * sizeof *entries)) return;
        for (size_t index = 0; index < count; index++)
            if ((entries[index] & (PRESENT | OF_FILE)) == (PRESENT | OF_FILE))
                madvise((void *)(start + index * PAGE), PAGE, MADV_DONTNEED);
        start += count * PAGE;
    }
}

// The program itself comes first; the libraries beside it, if there are any, are everybody's.
static int forget_object(struct dl_phdr_info *object, size_t size, void *context) {
    (void)size;
    int pagemap = *(int *)context;
    for (int index = 0; index < object->dlpi_phnum; index++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[index];
        if (segment->p_type != PT_LOAD) continue;
        uintptr_t start = (object->dlpi_addr + segment->p_vaddr) & ~(uintptr_t)(PAGE - 1);
        uintptr_t end = (object->dlpi_addr + segment->p_vaddr + segment->p_memsz + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
        if (!(segment->p_flags & PF_W))
            madvise((void *)start, end - start, MADV_DONTNEED);
        else if (pagemap >= 0)
            forget_clean(pagemap, start, end);
    }
    return 1;
}

int lab_open_pagemap(void) { return open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC); }

void lab_forget_pages(int pagemap) { dl_iterate_phdr(forget_object, &pagemap); }
