/* File system steps of a save: syncing, renaming without a race, removing a tree. */
#include "archive/sink_fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TREE_DEPTH_MAX = 128 }; /* folders inside folders that are removed: one descriptor each is open */

/* ---- made to fail ---- */

static atomic_uint_fast64_t step_count;
static atomic_uint_fast64_t fail_at; /* 0: never; else the value of step_count at which to fail */
static atomic_int fail_errno;

void cn_fs_fail_at(uint64_t n, int error) {
    atomic_store(&fail_errno, error);
    atomic_store(&fail_at, n == 0 ? 0 : atomic_load(&step_count) + n);
}

bool cn_fs_must_fail(void) {
    uint64_t number = atomic_fetch_add(&step_count, 1) + 1;
    if (number != atomic_load(&fail_at)) return false;
    errno = atomic_load(&fail_errno);
    return true;
}

int cn_fs_close(int fd) {
    int result = close(fd);
    return cn_fs_must_fail() ? -1 : result;
}

/* ---- steps ---- */

cornu_status cn_fs_fail(const char* file, int line, int error, const char* path, const char* what) {
    char buffer[256] = "";
    const char* text = buffer;

#if defined(__GLIBC__)
    text = strerror_r(error, buffer, sizeof buffer); /* GNU's: the text may lie elsewhere */
#else
    if (strerror_r(error, buffer, sizeof buffer) != 0) (void)snprintf(buffer, sizeof buffer, "error %d", error);
#endif
    return cn_fail(CORNU_IO_ERROR, file, line, "%s: %s: %s", path, what, text);
}

int cn_fs_sync(int fd) {
    int result;

    do result = CN_FS(fsync(fd));
    while (result != 0 && errno == EINTR);
    return result;
}

int cn_fs_sync_folder(int fd) {
    int result = cn_fs_sync(fd);

    return result != 0 && errno == EINVAL ? 0 : result;
}

int cn_fs_rename_new(int folder, const char* from, const char* to, bool is_directory) {
    if (CN_FS(renameat2(folder, from, folder, to, RENAME_NOREPLACE)) == 0) return 0;
    if (errno != EINVAL && errno != ENOSYS) return -1;
    /* The file system lacks the flag. A directory never replaces more than an empty one; a file needs a second link. */
    if (is_directory) return CN_FS(renameat(folder, from, folder, to));
    if (CN_FS(linkat(folder, from, folder, to, 0)) != 0) return -1;
    (void)unlinkat(folder, from, 0);
    return 0;
}

int cn_fs_exchange(int folder, const char* a, const char* b) {
    return CN_FS(renameat2(folder, a, folder, b, RENAME_EXCHANGE));
}

static int remove_tree(int folder, const char* name, int depth);

static int remove_entry(int folder, const char* name, int depth) {
    if (unlinkat(folder, name, 0) == 0 || errno == ENOENT) return 0;
    if (errno != EISDIR && errno != EPERM) return -1;
    return remove_tree(folder, name, depth + 1);
}

static int remove_tree(int folder, const char* name, int depth) {
    int fd = depth > TREE_DEPTH_MAX ? -1 : openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR* dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent* entry;

    if (!dir) {
        if (fd >= 0) (void)close(fd);
        return -1;
    }
    while ((entry = readdir(dir))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        (void)remove_entry(fd, entry->d_name, depth); /* what stays makes the rmdir below fail */
    }
    (void)closedir(dir);
    return unlinkat(folder, name, AT_REMOVEDIR);
}

int cn_fs_remove_tree(int folder, const char* name) { return remove_tree(folder, name, 0); }
