#include "backend/cuda/plan_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/hash.h"

#define MAGIC "cornu plan 1\n"
#define MOST_BYTES ((size_t)8 << 20) /* of a file */
#define MOST_ROWS 20000
#define MOST_WAYS 256

static uint64_t hash_of(const char* text, size_t size) { return cn_hash(CN_HASH_START, text, size); }

/* ---- where ---- */

static char* folder_of(cn_arena* arena, const char* given) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME"), *own = getenv("CORNU_PLAN_CACHE");

    if (!given) given = own;
    if (given) return *given ? cn_arena_strdup(arena, given) : NULL;
    if (cache && cache[0] == '/') return cn_arena_format(arena, "%s/cornu", cache);
    if (home && home[0] == '/') return cn_arena_format(arena, "%s/.cache/cornu", home);
    return NULL;
}

/* ---- reading ---- */

/* A row of the text; false if it is none, or damaged. Cuts the line at its end. */
static bool parse(char* line, cn_plan_row* row) {
    uint64_t hash;
    char *end, *rest;

    hash = strtoull(line, &end, 16);
    if (end - line != 16 || *end != ' ') return false;
    rest = end + 1;
    if (hash_of(rest, strlen(rest)) != hash) return false;
    row->way = (int)strtol(rest, &end, 10);
    row->ways = (int)strtol(end, &end, 10);
    row->best_ns = strtoll(end, &end, 10);
    row->guess_ns = strtoll(end, &end, 10);
    if (*end != ' ' || !end[1]) return false;
    row->problem = end + 1;
    return row->ways > 1 && row->ways <= MOST_WAYS && row->way >= 0 && row->way < row->ways && row->best_ns >= 0 && row->guess_ns >= 0;
}

/* The file's text, NUL-terminated, or NULL: nothing that could be a cache. Only a regular file is opened, and no longer than it may be. */
static char* read_text(const char* path) {
    struct stat status;
    char* text = NULL;
    size_t size = 0;
    ssize_t n = 1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0) return NULL;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size >= 0 && (uint64_t)status.st_size <= MOST_BYTES) {
        text = cn_alloc((size_t)status.st_size + 1);
        while (text && size < (size_t)status.st_size && (n = read(fd, text + size, (size_t)status.st_size - size)) > 0) size += (size_t)n;
        if (text) text[size] = '\0';
    }
    (void)close(fd);
    return text;
}

/* Rows of the file that the cache does not have. */
static cornu_status merge_file(cn_plan_cache* cache) {
    char* text = read_text(cache->path);
    size_t magic = strlen(MAGIC), title = strlen(cache->title);
    cornu_status st = CORNU_OK;
    bool changed = cache->changed;

    if (text && strncmp(text, MAGIC, magic) == 0 && strncmp(text + magic, cache->title, title) == 0 && text[magic + title] == '\n') {
        char *line = text + magic + title + 1, *end;
        for (; st == CORNU_OK && (end = strchr(line, '\n')) && cache->count < MOST_ROWS; line = end + 1) {
            cn_plan_row row;
            *end = '\0';
            if (parse(line, &row) && !cn_plan_cache_find(cache, row.problem, row.ways)) st = cn_plan_cache_put(cache, &row);
        }
    }
    cache->changed = changed;
    cn_free(text);
    return st;
}

cornu_status cn_plan_cache_open(cn_plan_cache* cache, const char* folder, const char* title) {
    *cache = (cn_plan_cache){0};
    cache->title = cn_arena_strdup(&cache->arena, title);
    if (!cache->title) return CN_NO_MEMORY(strlen(title));
    for (char* c = cache->title; *c; c++) {
        if ((unsigned char)*c < ' ') *c = ' ';
    }
    cache->folder = folder_of(&cache->arena, folder);
    if (!cache->folder) return CORNU_OK;
    cache->path = cn_arena_format(&cache->arena, "%s/%016" PRIx64 ".cnplan", cache->folder, hash_of(cache->title, strlen(cache->title)));
    if (!cache->path) return CN_NO_MEMORY(strlen(cache->folder));
    return merge_file(cache);
}

void cn_plan_cache_close(cn_plan_cache* cache) {
    cn_free(cache->rows);
    cn_arena_deinit(&cache->arena);
    *cache = (cn_plan_cache){0};
}

/* ---- rows ---- */

const cn_plan_row* cn_plan_cache_find(const cn_plan_cache* cache, const char* problem, int ways) {
    for (int i = 0; i < cache->count; i++) {
        if (cache->rows[i].ways == ways && strcmp(cache->rows[i].problem, problem) == 0) return &cache->rows[i];
    }
    return NULL;
}

cornu_status cn_plan_cache_put(cn_plan_cache* cache, const cn_plan_row* row) {
    cn_plan_row* old = NULL;
    const char* problem;

    if (strchr(row->problem, '\n')) return CN_FAIL(BAD_ARGUMENT, "a problem's text has a line break");
    for (int i = 0; i < cache->count && !old; i++) {
        if (strcmp(cache->rows[i].problem, row->problem) == 0) old = &cache->rows[i];
    }
    cache->changed = true;
    if (old) {
        problem = old->problem;
    } else {
        if (cache->count == cache->capacity) {
            int capacity = cache->capacity ? 2 * cache->capacity : 64;
            cn_plan_row* rows = cn_realloc(cache->rows, (size_t)capacity * sizeof *rows);
            if (!rows) return CN_NO_MEMORY((size_t)capacity * sizeof *rows);
            cache->rows = rows;
            cache->capacity = capacity;
        }
        problem = cn_arena_strdup(&cache->arena, row->problem);
        if (!problem) return CN_NO_MEMORY(strlen(row->problem));
        old = &cache->rows[cache->count++];
    }
    *old = *row;
    old->problem = problem;
    return CORNU_OK;
}

/* ---- writing ---- */

/* The folder and those above it that are missing, as the XDG specification wants them. */
static cornu_status make_folder(const char* folder) {
    char* path = cn_strdup(folder);
    cornu_status st = CORNU_OK;

    if (!path) return CN_NO_MEMORY(strlen(folder));
    for (char* c = path + 1; st == CORNU_OK; c++) {
        char saved = *c;
        if (saved != '/' && saved != '\0') continue;
        *c = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST) st = CN_FAIL(IO_ERROR, "%s: %s", path, strerror(errno));
        *c = saved;
        if (saved == '\0') break;
    }
    cn_free(path);
    return st;
}

static cornu_status text_of(const cn_plan_cache* cache, cn_buf* out) {
    cn_buf line = {0};

    cn_buf_format(out, "%s%s\n", MAGIC, cache->title);
    for (int i = 0; i < cache->count; i++) {
        const cn_plan_row* row = &cache->rows[i];
        line.size = 0;
        cn_buf_format(&line, "%d %d %" PRId64 " %" PRId64 " %s", row->way, row->ways, row->best_ns, row->guess_ns, row->problem);
        if (!line.failed) cn_buf_format(out, "%016" PRIx64 " %s\n", hash_of(line.data, line.size), line.data);
    }
    out->failed |= line.failed;
    cn_buf_deinit(&line);
    return cn_buf_check(out);
}

static cornu_status write_all(int fd, const char* path, const cn_buf* text) {
    for (size_t at = 0; at < text->size;) {
        ssize_t n = write(fd, text->data + at, text->size - at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return CN_FAIL(IO_ERROR, "%s: %s", path, strerror(n < 0 ? errno : ENOSPC));
        at += (size_t)n;
    }
    return CORNU_OK;
}

static cornu_status replace(const cn_plan_cache* cache, const char* temporary) {
    cn_buf text = {0};
    cornu_status st = text_of(cache, &text);
    int fd;

    if (st == CORNU_OK) {
        fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (fd < 0) st = CN_FAIL(IO_ERROR, "%s: %s", temporary, strerror(errno));
        if (st == CORNU_OK) {
            st = write_all(fd, temporary, &text);
            if (close(fd) != 0 && st == CORNU_OK) st = CN_FAIL(IO_ERROR, "%s: %s", temporary, strerror(errno));
            if (st == CORNU_OK && rename(temporary, cache->path) != 0) st = CN_FAIL(IO_ERROR, "%s: %s", cache->path, strerror(errno));
            if (st != CORNU_OK) (void)unlink(temporary);
        }
    }
    cn_buf_deinit(&text);
    return st;
}

cornu_status cn_plan_cache_save(cn_plan_cache* cache) {
    char *lock_path, *temporary;
    cornu_status st;
    int lock;

    if (!cache->folder || !cache->changed) return CORNU_OK;
    lock_path = cn_arena_format(&cache->arena, "%s/lock", cache->folder);
    temporary = cn_arena_format(&cache->arena, "%s.%ld.tmp", cache->path, (long)getpid());
    if (!lock_path || !temporary) return CN_NO_MEMORY(strlen(cache->folder));
    CN_TRY(make_folder(cache->folder));
    lock = open(lock_path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (lock < 0) return CN_FAIL(IO_ERROR, "%s: %s", lock_path, strerror(errno));
    for (int tries = 0; flock(lock, LOCK_EX | LOCK_NB) != 0; tries++) { /* who holds it for long must not hold us up */
        if (tries == 20) {
            (void)close(lock);
            return CN_FAIL(IO_ERROR, "%s: another process holds it", lock_path);
        }
        (void)usleep(5000);
    }
    st = merge_file(cache);
    if (st == CORNU_OK) st = replace(cache, temporary);
    if (st == CORNU_OK) cache->changed = false;
    (void)close(lock);
    return st;
}
