/* File system steps of a save, each relative to an open folder. They return 0, or -1 with errno. */
#ifndef CN_ARCHIVE_SINK_FS_H
#define CN_ARCHIVE_SINK_FS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* For tests: step number n from now on (1 is the next) of those that CN_FS counts fails with that errno; 0 turns it off. */
void cn_fs_fail_at(uint64_t n, int error);
/* Counts a step; true, with errno, when it is to fail. */
bool cn_fs_must_fail(void);
/* A system call of a save that returns -1 with errno when it fails. */
#define CN_FS(call) (cn_fs_must_fail() ? -1 : (call))
/* close, which closes even where it fails. */
int cn_fs_close(int fd);

/* fsync until it was not interrupted. Any other failure is final: the kernel may have dropped the pages. */
int cn_fs_sync(int fd);
/* The same for a folder, where file systems without such a thing (EINVAL) count as done. */
int cn_fs_sync_folder(int fd);
/* Renames from to to in the folder, never over something (EEXIST, or ENOTEMPTY for directories). */
int cn_fs_rename_new(int folder, const char* from, const char* to, bool is_directory);
/* Exchanges two names at once; fails where the file system cannot. */
int cn_fs_exchange(int folder, const char* a, const char* b);
/* Removes a directory and all below it, following no link. */
int cn_fs_remove_tree(int folder, const char* name);
/* CORNU_IO_ERROR with "path: what: text of error". */
cornu_status cn_fs_fail(const char* file, int line, int error, const char* path, const char* what);

#define CN_FAIL_ERRNO(path, what) cn_fs_fail(__FILE__, __LINE__, errno, path, what)

#ifdef __cplusplus
}
#endif

#endif
