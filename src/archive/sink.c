/* Crash-safe saving.
 *
 *     target folder (dir_fd)            a file sink                       a directory sink
 *       model.keras      old bytes      renameat(.model..., model)        renameat2(EXCHANGE), then the old tree is removed
 *       .model.keras.<pid>.<random>.tmp everything is written here and synced first
 *
 * Every name is used relative to dir_fd, so that a folder that is moved or replaced meanwhile cannot lead the rename
 * astray. Invariant: until the rename, the target is never opened for writing; whatever fails, the temporary goes. */
#include "archive/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "archive/sink_fs.h"
#include "base/buf.h"
#include "base/size.h"

enum { LINKS_MAX = 40 };           /* as the kernel: more in a row are a cycle */
enum { TEMP_TRIES = 100 };         /* random names that may be taken before opening gives up */
enum { NAME_MAX_DEFAULT = 255 };   /* bytes of a file name where the file system does not say */
enum { WRITE_MAX = 1 << 30 };      /* bytes of one write call: Linux takes no more than 2^31 - 4096 */

typedef enum sink_kind { SINK_FILE, SINK_DIR, SINK_MEMORY } sink_kind;

struct cn_sink {
    sink_kind kind;
    bool overwrite;
    bool failed;     /* something was not written: never to be committed */
    bool committed;
    char* path;      /* of the target, links resolved */
    const char* base; /* last part of it, inside path */
    char* temp;      /* name in the target's folder; NULL: there is none, or no longer */
    int dir_fd;      /* the target's folder */
    int fd;          /* open for writing: the temporary, or the current member; else -1 */
    int temp_fd;     /* directory sink: the temporary directory */
    bool placed;     /* what was written has the target's name */
    bool existed;    /* the target was there at the beginning */
    mode_t mode;     /* of the target that was there */
    uint64_t size;   /* bytes of the file or member */
    cn_buf folders;  /* directory sink: folders that were made, each with its NUL */
    cn_buf memory;
};

const char* cn_member_name_fault(const char* name, size_t size) {
    size_t start = 0;

    if (size == 0) return "is empty";
    if (memchr(name, '\0', size)) return "holds a NUL";
    if (name[0] == '/') return "is absolute";
    for (size_t i = 0; i <= size; i++) {
        if (i < size && name[i] != '/') continue;
        if (i == start) return "has an empty part";
        if (i - start == 1 && name[start] == '.') return "has a part '.'";
        if (i - start == 2 && name[start] == '.' && name[start + 1] == '.') return "has a part '..'";
        start = i + 1;
    }
    return NULL;
}

/* ---- opening ---- */

/* Follows symbolic links of the last part: *path is replaced. A link to nothing leads to what it names. */
static cornu_status resolve_links(char** path) {
    char link[PATH_MAX];

    for (int i = 0; i < LINKS_MAX; i++) {
        ssize_t size = readlink(*path, link, sizeof link);
        const char* slash = strrchr(*path, '/');
        size_t folder = slash ? (size_t)(slash - *path) + 1 : 0;
        char* next;

        if (size < 0) return CORNU_OK; /* no link, or not there: opening will say */
        if ((size_t)size >= sizeof link) return CN_FAIL(IO_ERROR, "%s: its symbolic link is too long", *path);
        if (size > 0 && link[0] == '/') folder = 0;
        next = cn_alloc(folder + (size_t)size + 1);
        if (!next) return CN_NO_MEMORY(folder + (size_t)size + 1);
        memcpy(next, *path, folder);
        memcpy(next + folder, link, (size_t)size);
        next[folder + (size_t)size] = '\0';
        cn_free(*path);
        *path = next;
    }
    return CN_FAIL(IO_ERROR, "%s: too many symbolic links in a row", *path);
}

/* Sets path, base and dir_fd. */
static cornu_status open_folder(cn_sink* sink, const char* path) {
    size_t size = strlen(path);
    char* folder;
    char* slash;

    if (size == 0) return CN_FAIL(BAD_ARGUMENT, "the path to save to is empty");
    while (sink->kind == SINK_DIR && size > 1 && path[size - 1] == '/') size--;
    sink->path = cn_strndup(path, size);
    if (!sink->path) return CN_NO_MEMORY(size);
    CN_TRY(resolve_links(&sink->path));
    for (size = strlen(sink->path); sink->kind == SINK_DIR && size > 1 && sink->path[size - 1] == '/';)
        sink->path[--size] = '\0';
    slash = strrchr(sink->path, '/');
    sink->base = slash ? slash + 1 : sink->path;
    if (!sink->base[0] || !strcmp(sink->base, ".") || !strcmp(sink->base, ".."))
        return CN_FAIL(BAD_ARGUMENT, "%s: names a directory, not something that can be written", sink->path);
    folder = slash ? cn_strndup(sink->path, slash == sink->path ? 1 : (size_t)(slash - sink->path)) : cn_strdup(".");
    if (!folder) return CN_NO_MEMORY(size);
    do sink->dir_fd = CN_FS(open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    while (sink->dir_fd < 0 && errno == EINTR);
    cn_free(folder);
    if (sink->dir_fd < 0) return CN_FAIL_ERRNO(sink->path, "its folder cannot be opened");
    return CORNU_OK;
}

/* Looks at what is there. */
static cornu_status check_target(cn_sink* sink) {
    struct stat stat;

    if (CN_FS(fstatat(sink->dir_fd, sink->base, &stat, AT_SYMLINK_NOFOLLOW)) != 0) {
        if (errno == ENOENT) return CORNU_OK;
        return CN_FAIL_ERRNO(sink->path, "cannot be looked at");
    }
    if (sink->kind == SINK_FILE && !S_ISREG(stat.st_mode))
        return CN_FAIL(BAD_ARGUMENT, "%s: is %s, not a file that can be replaced", sink->path,
                       S_ISDIR(stat.st_mode) ? "a directory" : "a device, FIFO or socket");
    if (sink->kind == SINK_DIR && !S_ISDIR(stat.st_mode))
        return CN_FAIL(BAD_ARGUMENT, "%s: is there, but is not a directory", sink->path);
    if (!sink->overwrite) return CN_FAIL(EXISTS, "%s: exists, and overwriting was not asked for", sink->path);
    /* The rename would not need it, but a file that was made read-only is meant to stay. */
    if (faccessat(sink->dir_fd, sink->base, W_OK, AT_EACCESS) != 0)
        return CN_FAIL_ERRNO(sink->path, "cannot be replaced");
    sink->existed = true;
    sink->mode = stat.st_mode & 0777;
    return CORNU_OK;
}

static uint64_t random_number(unsigned salt) {
    uint64_t number = 0;
    struct timespec now;

    if (getrandom(&number, sizeof number, GRND_NONBLOCK) == (ssize_t)sizeof number) return number;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return ((uint64_t)now.tv_nsec << 20) ^ (uint64_t)now.tv_sec ^ salt;
}

/* ".NAME.<pid>.<random>.tmp", NAME cut at a character so that all of it fits into the file system's names. */
static cornu_status make_temp_name(cn_sink* sink, unsigned salt) {
    long limit = fpathconf(sink->dir_fd, _PC_NAME_MAX);
    size_t max = limit > 0 && limit < NAME_MAX_DEFAULT ? (size_t)limit : NAME_MAX_DEFAULT;
    size_t keep = strlen(sink->base);
    char tail[64];
    size_t tail_size;
    char* name;

    (void)snprintf(tail, sizeof tail, ".%ld.%08x.tmp", (long)getpid(), (unsigned)random_number(salt));
    tail_size = strlen(tail);
    if (keep + tail_size + 1 > max) {
        keep = max > tail_size + 1 ? max - tail_size - 1 : 0;
        while (keep > 0 && ((unsigned char)sink->base[keep] & 0xC0) == 0x80) keep--;
    }
    name = cn_alloc(keep + tail_size + 2);
    if (!name) return CN_NO_MEMORY(keep + tail_size + 2);
    name[0] = '.';
    memcpy(name + 1, sink->base, keep);
    memcpy(name + 1 + keep, tail, tail_size + 1);
    cn_free(sink->temp);
    sink->temp = name;
    return CORNU_OK;
}

/* Makes the temporary. The kernel applies the umask to 0666 and 0777, so that it is never asked for. */
static int create_temp(cn_sink* sink) {
    mode_t mode = sink->existed ? 0600 : 0666;

    if (sink->kind == SINK_DIR) return CN_FS(mkdirat(sink->dir_fd, sink->temp, sink->existed ? 0700 : 0777));
    sink->fd = CN_FS(openat(sink->dir_fd, sink->temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
    return sink->fd < 0 ? -1 : 0;
}

static cornu_status open_temp(cn_sink* sink) {
    for (unsigned i = 0;; i++) {
        int error;

        CN_TRY(make_temp_name(sink, i));
        if (create_temp(sink) == 0) break;
        error = errno;
        cn_free(sink->temp); /* what is not ours must not be removed */
        sink->temp = NULL;
        errno = error;
        if ((error != EEXIST && error != EINTR) || i >= TEMP_TRIES)
            return CN_FAIL_ERRNO(sink->path, "a temporary file beside it cannot be made");
    }
    if (sink->kind == SINK_DIR) {
        sink->temp_fd = CN_FS(openat(sink->dir_fd, sink->temp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (sink->temp_fd < 0) return CN_FAIL_ERRNO(sink->path, "a temporary directory beside it cannot be opened");
    } else if (sink->existed && CN_FS(fchmod(sink->fd, sink->mode)) != 0) {
        return CN_FAIL_ERRNO(sink->path, "the mode of the old file cannot be kept");
    }
    return CORNU_OK;
}

static cornu_status sink_create(sink_kind kind, bool overwrite, cn_sink** out) {
    cn_sink* sink = cn_alloc_zero(1, sizeof *sink);

    *out = NULL;
    if (!sink) return CN_NO_MEMORY(sizeof *sink);
    sink->kind = kind;
    sink->overwrite = overwrite;
    sink->dir_fd = sink->fd = sink->temp_fd = -1;
    *out = sink;
    return CORNU_OK;
}

static cornu_status sink_open(sink_kind kind, const char* path, bool overwrite, cn_sink** out) {
    cornu_status st = CORNU_OK;
    cn_sink* sink = NULL;

    *out = NULL;
    CN_STEP(sink_create(kind, overwrite, &sink));
    CN_STEP(open_folder(sink, path));
    CN_STEP(check_target(sink));
    CN_STEP(open_temp(sink));
    *out = sink;
    sink = NULL;
done:
    cn_sink_close(sink);
    return st;
}

cornu_status cn_sink_open(const char* path, bool overwrite, cn_sink** out) {
    return sink_open(SINK_FILE, path, overwrite, out);
}

cornu_status cn_sink_open_dir(const char* path, bool overwrite, cn_sink** out) {
    return sink_open(SINK_DIR, path, overwrite, out);
}

cornu_status cn_sink_open_memory(cn_sink** out) { return sink_create(SINK_MEMORY, true, out); }

/* ---- writing ---- */

static const char* sink_name(const cn_sink* sink) { return sink->path ? sink->path : "memory"; }

/* Syncs and closes what is open for writing. */
static cornu_status finish_file(cn_sink* sink) {
    int fd = sink->fd;
    cornu_status st = CORNU_OK;

    if (fd < 0) return CORNU_OK;
    sink->fd = -1;
    if (cn_fs_sync(fd) != 0) st = CN_FAIL_ERRNO(sink->path, "its bytes cannot be brought to the disk");
    /* EINTR: Linux has closed it all the same, and the bytes are synced. */
    if (cn_fs_close(fd) != 0 && errno != EINTR && st == CORNU_OK) st = CN_FAIL_ERRNO(sink->path, "closing failed");
    if (st != CORNU_OK) sink->failed = true;
    return st;
}

/* Makes one folder of a member, name[0 .. size) from the root, and opens it in place of *fd. */
static cornu_status enter_folder(cn_sink* sink, const char* name, size_t size, const char* part, int* fd) {
    int next;

    if (CN_FS(mkdirat(*fd, part, 0777)) == 0) {
        cn_buf_add(&sink->folders, name, size);
        cn_buf_add(&sink->folders, "", 1);
        CN_TRY(cn_buf_check(&sink->folders));
    } else if (errno != EEXIST) {
        return CN_FAIL_ERRNO(sink->path, "a folder inside cannot be made");
    }
    next = CN_FS(openat(*fd, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (next < 0) return CN_FAIL_ERRNO(sink->path, "a folder inside cannot be opened");
    if (*fd != sink->temp_fd) (void)close(*fd);
    *fd = next;
    return CORNU_OK;
}

static cornu_status open_member(cn_sink* sink, const char* name) {
    cornu_status st = CORNU_OK;
    int fd = sink->temp_fd;
    char* parts = cn_strdup(name);
    char* part = parts;
    char* slash;

    if (!parts) return CN_NO_MEMORY(strlen(name) + 1);
    while ((slash = strchr(part, '/'))) {
        *slash = '\0';
        CN_STEP(enter_folder(sink, name, (size_t)(slash - parts), part, &fd));
        part = slash + 1;
    }
    sink->fd = CN_FS(openat(fd, part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666));
    if (sink->fd < 0 && errno == EEXIST)
        CN_STEP(CN_FAIL(BAD_ARGUMENT, "%s: member '%s' is written twice", sink->path, name));
    if (sink->fd < 0) CN_STEP(CN_FAIL_ERRNO(sink->path, "a file inside cannot be made"));
    sink->size = 0;
done:
    if (fd != sink->temp_fd) (void)close(fd);
    cn_free(parts);
    return st;
}

cornu_status cn_sink_member(cn_sink* sink, const char* name) {
    const char* fault = cn_member_name_fault(name, strlen(name));
    cornu_status st;

    if (sink->kind != SINK_DIR || sink->committed)
        return CN_FAIL(BAD_ARGUMENT, "%s: is no directory that is being written", sink_name(sink));
    if (fault) return CN_FAIL(BAD_ARGUMENT, "%s: the name of member '%s' %s", sink->path, name, fault);
    CN_TRY(finish_file(sink));
    st = open_member(sink, name);
    if (st != CORNU_OK) sink->failed = true;
    return st;
}

static cornu_status write_at(cn_sink* sink, uint64_t offset, const void* data, uint64_t size) {
    const char* from = data;

    while (size > 0) {
        ssize_t n = CN_FS(pwrite(sink->fd, from, size < WRITE_MAX ? (size_t)size : WRITE_MAX, (off_t)offset));
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = ENOSPC;
        if (n <= 0) {
            sink->failed = true;
            return CN_FAIL_ERRNO(sink->path, "writing failed");
        }
        from += n;
        offset += (uint64_t)n;
        size -= (uint64_t)n;
    }
    return CORNU_OK;
}

/* Whether bytes can be taken now. */
static cornu_status check_writable(const cn_sink* sink) {
    if (sink->committed) return CN_FAIL(BAD_ARGUMENT, "%s: is complete already", sink_name(sink));
    if (sink->kind != SINK_MEMORY && sink->fd < 0)
        return CN_FAIL(BAD_ARGUMENT, "%s: no member is being written", sink->path);
    return CORNU_OK;
}

cornu_status cn_sink_write(cn_sink* sink, const void* data, uint64_t size) {
    uint64_t end;

    CN_TRY(check_writable(sink));
    if (!cn_size_add(sink->size, size, &end) || end > INT64_MAX)
        return CN_FAIL(BAD_ARGUMENT, "%s: becomes larger than a file can be", sink_name(sink));
    if (sink->kind == SINK_MEMORY) {
        cn_buf_add(&sink->memory, data, (size_t)size);
        CN_TRY(cn_buf_check(&sink->memory));
    } else {
        CN_TRY(write_at(sink, sink->size, data, size));
    }
    sink->size = end;
    return CORNU_OK;
}

cornu_status cn_sink_patch(cn_sink* sink, uint64_t offset, const void* data, uint64_t size) {
    CN_TRY(check_writable(sink));
    if (!cn_range_fits(offset, size, sink->size))
        return CN_FAIL(BAD_ARGUMENT, "%s: bytes to patch were not written yet", sink_name(sink));
    if (sink->kind != SINK_MEMORY) return write_at(sink, offset, data, size);
    if (size) memcpy(sink->memory.data + offset, data, (size_t)size);
    return CORNU_OK;
}

uint64_t cn_sink_size(const cn_sink* sink) { return sink->size; }

/* ---- committing ---- */

static cornu_status sync_folders(cn_sink* sink) {
    for (size_t at = 0; at < sink->folders.size; at += strlen(sink->folders.data + at) + 1) {
        int fd = CN_FS(openat(sink->temp_fd, sink->folders.data + at, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        int synced = fd < 0 ? -1 : cn_fs_sync_folder(fd);
        cornu_status st = synced == 0 ? CORNU_OK : CN_FAIL_ERRNO(sink->path, "a folder inside cannot be synced");

        if (fd >= 0) (void)close(fd);
        CN_TRY(st);
    }
    if (sink->existed && CN_FS(fchmod(sink->temp_fd, sink->mode)) != 0)
        return CN_FAIL_ERRNO(sink->path, "the mode of the old directory cannot be kept");
    if (cn_fs_sync_folder(sink->temp_fd) != 0) return CN_FAIL_ERRNO(sink->path, "cannot be synced");
    return CORNU_OK;
}

/* The temporary takes the target's place. *old: the temporary's name now holds what was there before. */
static cornu_status replace_target(cn_sink* sink, bool* old) {
    int result;

    *old = false;
    if (sink->kind == SINK_FILE && sink->overwrite)
        result = CN_FS(renameat(sink->dir_fd, sink->temp, sink->dir_fd, sink->base));
    else
        result = cn_fs_rename_new(sink->dir_fd, sink->temp, sink->base, sink->kind == SINK_DIR);
    if (result != 0 && sink->kind == SINK_DIR && sink->overwrite && (errno == EEXIST || errno == ENOTEMPTY)) {
        result = cn_fs_exchange(sink->dir_fd, sink->temp, sink->base);
        *old = result == 0;
    }
    if (result == 0) return CORNU_OK;
    if (errno == EEXIST || (errno == ENOTEMPTY && !sink->overwrite))
        return CN_FAIL(EXISTS, "%s: appeared while it was being written, and overwriting was not asked for",
                       sink->path);
    return CN_FAIL_ERRNO(sink->path, "the new one cannot take its place");
}

static cornu_status commit(cn_sink* sink) {
    bool old = false;

    CN_TRY(finish_file(sink));
    if (sink->failed)
        return CN_FAIL(IO_ERROR, "%s: cannot be completed, because writing failed before", sink_name(sink));
    if (sink->kind == SINK_MEMORY) return cn_buf_check(&sink->memory);
    if (sink->kind == SINK_DIR) CN_TRY(sync_folders(sink));
    CN_TRY(replace_target(sink, &old));
    sink->placed = true;
    if (!old) {
        cn_free(sink->temp);
        sink->temp = NULL;
    }
    /* From here on the target is the new one. The old tree goes only when the exchange is on the disk. */
    if (cn_fs_sync_folder(sink->dir_fd) != 0)
        return CN_FAIL_ERRNO(sink->path, "was written, but its folder cannot be synced");
    return CORNU_OK;
}

/* Removes the temporary, or what an exchange put in its place. */
static void remove_temp(cn_sink* sink) {
    if (!sink->temp) return;
    if (sink->kind == SINK_DIR) (void)cn_fs_remove_tree(sink->dir_fd, sink->temp);
    else (void)unlinkat(sink->dir_fd, sink->temp, 0);
    cn_free(sink->temp);
    sink->temp = NULL;
}

cornu_status cn_sink_commit(cn_sink* sink) {
    cornu_status st;

    if (sink->committed) return CN_FAIL(BAD_ARGUMENT, "%s: is complete already", sink_name(sink));
    st = commit(sink);
    remove_temp(sink);
    sink->failed = st != CORNU_OK;
    sink->committed = true;
    return st;
}

bool cn_sink_is_placed(const cn_sink* sink) { return sink->placed; }

void* cn_sink_take_memory(cn_sink* sink, uint64_t* size) {
    if (sink->kind != SINK_MEMORY || !sink->committed || sink->failed) {
        *size = 0;
        return NULL;
    }
    *size = sink->memory.size;
    return cn_buf_take(&sink->memory);
}

void cn_sink_close(cn_sink* sink) {
    if (!sink) return;
    if (sink->fd >= 0) (void)close(sink->fd);
    remove_temp(sink);
    if (sink->temp_fd >= 0) (void)close(sink->temp_fd);
    if (sink->dir_fd >= 0) (void)close(sink->dir_fd);
    cn_buf_deinit(&sink->folders);
    cn_buf_deinit(&sink->memory);
    cn_free(sink->path);
    cn_free(sink);
}
