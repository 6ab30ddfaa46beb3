#pragma once

// Copies all bytes of `input` into the empty file `output`: by sharing its blocks where the file system can, else by
// copying, with holes left out. 0, or -1 with errno.
int lab_copy_data(int input, int output);

// Gives `target` the extended attributes of `source`; neither is followed. 0, or -1 with errno.
int lab_copy_attributes(const char *source, const char *target);
