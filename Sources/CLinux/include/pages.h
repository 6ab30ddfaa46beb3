#pragma once

// Lets go of the pages of the binary's file that are mapped here and not changed. They come back from the page cache
// one by one as they are needed; until then they count for nobody, and the kernel may have their room.
//
// `pagemap` is what `lab_open_pagemap` gave, for a process without other threads: then pages of the data segment go
// as well. With threads (-1), one of them could change such a page between the look at it and its going.
void lab_forget_pages(int pagemap);

// A descriptor for `lab_forget_pages`, to be opened while /proc shows this process; -1 where it does not.
int lab_open_pagemap(void);
