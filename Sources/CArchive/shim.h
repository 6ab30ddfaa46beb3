#pragma once
#include <archive.h>
#include <archive_entry.h>
// Extended attributes of what an archive holds; Swift's Glibc module leaves them out.
#include <sys/xattr.h>
