/* A source is one of three: an open file (read by pread), memory (borrowed or owned), or a window that adds its offset
 * and asks its parent. Invariant: every read lies inside [0, size), and a file's size and mtime are those of its
 * opening. */
#include "archive/source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/size.h"

struct cn_source {
    char* name;
    uint64_t size;        /* bytes */
    int fd;               /* of a file, else -1 */
    struct timespec time; /* mtime of a file when it was opened */
    const uint8_t* memory;
    void* owned;       /* freed at close */
    cn_source* parent; /* of a window */
    uint64_t offset;   /* of a window in its parent */
};

static cornu_status make_source(const char* name, uint64_t size, cn_source** out) {
    cn_source* source = cn_alloc_zero(1, sizeof *source);

    if (!source) return CN_NO_MEMORY(sizeof *source);
    source->fd = -1;
    source->size = size;
    source->name = cn_strdup(name);
    if (!source->name) {
        cn_free(source);
        return CN_NO_MEMORY(strlen(name) + 1);
    }
    *out = source;
    return CORNU_OK;
}

static const char* kind_of(mode_t mode) {
    if (S_ISDIR(mode)) return "a directory";
    if (S_ISFIFO(mode)) return "a FIFO";
    if (S_ISSOCK(mode)) return "a socket";
    if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
    return "of an unknown kind";
}

static cornu_status open_failure(const char* path, int error) {
    if (error == ENOENT || error == ENOTDIR) return CN_FAIL(NOT_FOUND, "%s: %s", path, strerror(error));
    if (error == ENOMEM) return CN_FAIL(NO_MEMORY, "%s: %s", path, strerror(error));
    if (error == ENXIO) return CN_FAIL(BAD_FILE, "%s: is a socket or a device, not a regular file", path);
    return CN_FAIL(IO_ERROR, "%s: cannot be opened: %s", path, strerror(error));
}

/* fd becomes the source's, or is closed. */
static cornu_status adopt_file(int fd, const char* path, cn_source** out) {
    cornu_status st = CORNU_OK;
    struct stat info;

    if (fstat(fd, &info) != 0) {
        st = CN_FAIL(IO_ERROR, "%s: fstat: %s", path, strerror(errno));
    } else if (!S_ISREG(info.st_mode)) {
        st = CN_FAIL(BAD_FILE, "%s: is %s, not a regular file", path, kind_of(info.st_mode));
    } else {
        st = make_source(path, (uint64_t)info.st_size, out);
    }
    if (st != CORNU_OK) {
        (void)close(fd);
        return st;
    }
    (*out)->fd = fd;
    (*out)->time = info.st_mtim;
    return CORNU_OK;
}

/* O_NONBLOCK: a FIFO without a writer opens at once, and is then refused by its kind. */
#define OPEN_FLAGS (O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)

cornu_status cn_source_open_file(const char* path, cn_source** out) {
    int fd;

    *out = NULL;
    do fd = open(path, OPEN_FLAGS);
    while (fd < 0 && errno == EINTR);
    if (fd < 0) return open_failure(path, errno);
    return adopt_file(fd, path, out);
}

cornu_status cn_source_open_at(int dir_fd, const char* name, const char* path_for_errors, cn_source** out) {
    int fd;

    *out = NULL;
    do fd = openat(dir_fd, name, OPEN_FLAGS | O_NOFOLLOW);
    while (fd < 0 && errno == EINTR);
    if (fd < 0 && errno == ELOOP)
        return CN_FAIL(BAD_FILE, "%s: is a symbolic link, not a regular file", path_for_errors);
    if (fd < 0) return open_failure(path_for_errors, errno);
    return adopt_file(fd, path_for_errors, out);
}

cornu_status cn_source_open_memory(const void* data, uint64_t size, const char* name, cn_source** out) {
    static const uint8_t nothing[1];

    *out = NULL;
    CN_TRY(make_source(name, size, out));
    (*out)->memory = data ? data : nothing;
    return CORNU_OK;
}

cornu_status cn_source_take_memory(void* data, uint64_t size, const char* name, cn_source** out) {
    cornu_status st = cn_source_open_memory(data, size, name, out);

    if (st == CORNU_OK) (*out)->owned = data;
    else cn_free(data);
    return st;
}

cornu_status cn_source_open_window(cn_source* parent, uint64_t offset, uint64_t size, const char* name,
                                   cn_source** out) {
    *out = NULL;
    if (!cn_range_fits(offset, size, parent->size))
        return CN_FAIL(BAD_FILE, "%s: %llu bytes at %llu lie outside the %llu bytes of %s", name,
                       (unsigned long long)size, (unsigned long long)offset, (unsigned long long)parent->size,
                       parent->name);
    CN_TRY(make_source(name, size, out));
    (*out)->parent = parent;
    (*out)->offset = offset;
    return CORNU_OK;
}

void cn_source_close(cn_source* source) {
    if (!source) return;
    if (source->fd >= 0) (void)close(source->fd);
    cn_free(source->owned);
    cn_free(source->name);
    cn_free(source);
}

uint64_t cn_source_size(const cn_source* source) { return source->size; }

const char* cn_source_name(const cn_source* source) { return source->name; }

/* After the bytes were read: whether they can be of the file that was opened. */
static cornu_status check_unchanged(const cn_source* source) {
    struct stat info;

    if (fstat(source->fd, &info) != 0) return CN_FAIL(IO_ERROR, "%s: fstat: %s", source->name, strerror(errno));
    if ((uint64_t)info.st_size != source->size)
        return CN_FAIL(IO_ERROR, "%s: its size changed from %llu to %lld bytes while it was read", source->name,
                       (unsigned long long)source->size, (long long)info.st_size);
    if (info.st_mtim.tv_sec != source->time.tv_sec || info.st_mtim.tv_nsec != source->time.tv_nsec)
        return CN_FAIL(IO_ERROR, "%s: was written to while it was read", source->name);
    return CORNU_OK;
}

static cornu_status read_file(const cn_source* source, uint64_t offset, uint8_t* dst, uint64_t size) {
    while (size > 0) {
        size_t step = size > ((size_t)1 << 30) ? (size_t)1 << 30 : (size_t)size;
        ssize_t got = pread(source->fd, dst, step, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return CN_FAIL(IO_ERROR, "%s: cannot be read: %s", source->name, strerror(errno));
        if (got == 0) return CN_FAIL(IO_ERROR, "%s: has shrunk while it was read", source->name);
        dst += got;
        offset += (uint64_t)got;
        size -= (uint64_t)got;
    }
    return check_unchanged(source);
}

cornu_status cn_source_read(cn_source* source, uint64_t offset, void* dst, uint64_t size) {
    if (!cn_range_fits(offset, size, source->size))
        return CN_FAIL(BAD_FILE, "%s: %llu bytes at %llu lie outside its %llu bytes", source->name,
                       (unsigned long long)size, (unsigned long long)offset, (unsigned long long)source->size);
    if (size == 0) return CORNU_OK;
    /* A window's window and so on: a chain that our own code made, as long as it made it. */
    while (source->parent) {
        offset += source->offset;
        source = source->parent;
    }
    if (source->fd >= 0) return read_file(source, offset, dst, size);
    memcpy(dst, source->memory + offset, (size_t)size);
    return CORNU_OK;
}

const void* cn_source_memory(const cn_source* source) {
    uint64_t offset = 0;

    while (source->parent) {
        offset += source->offset;
        source = source->parent;
    }
    return source->memory ? source->memory + offset : NULL;
}
