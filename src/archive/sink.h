/* Crash-safe writing of a file or a directory: everything goes to a temporary beside the target, is synced, and
 * takes the target's place by rename. Before cn_sink_commit returns CORNU_OK the target is what it was; after, it is the
 * new one; a crash leaves one of the two, never neither. Temporary names are ".NAME.<pid>.<random>.tmp".
 *
 *     cn_sink_open(path, overwrite, &sink); cn_sink_write(sink, ...)...; cn_sink_commit(sink); cn_sink_close(sink); */
#ifndef CN_ARCHIVE_SINK_H
#define CN_ARCHIVE_SINK_H

#include <stdbool.h>

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cn_sink cn_sink;

/* Starts a file. A symbolic link as target is resolved; the mode of an existing file is kept.
 * CORNU_EXISTS: it exists and overwrite is false; CORNU_IO_ERROR, CORNU_BAD_ARGUMENT (target is a directory, a device). */
cornu_status cn_sink_open(const char* path, bool overwrite, cn_sink** out);
/* Starts a directory; the members are written by cn_sink_member. An existing target must be a directory; all that is in it
 * goes, so that the caller makes sure before that it is one of ours. */
cornu_status cn_sink_open_dir(const char* path, bool overwrite, cn_sink** out);
/* Collects the bytes in memory instead; cn_sink_take_memory gives them away after the commit. */
cornu_status cn_sink_open_memory(cn_sink** out);
/* Begins the next file of a directory sink, "assets/layers/x/vocabulary.txt"; makes its folders.
 * CORNU_BAD_ARGUMENT: the name has a fault, or was there already. */
cornu_status cn_sink_member(cn_sink* sink, const char* name);

/* What is wrong with the name of a member of an archive or directory ("is absolute", "has a part '..'", ...), NULL when
 * nothing is. '/' parts it; a '\' is a character like others. Thread-safe. */
const char* cn_member_name_fault(const char* name, size_t size);

/* Appends. */
cornu_status cn_sink_write(cn_sink* sink, const void* data, uint64_t size);
/* Overwrites bytes that were already written, without moving the end (zip headers need it). */
cornu_status cn_sink_patch(cn_sink* sink, uint64_t offset, const void* data, uint64_t size);
/* Bytes written so far (of the current member). */
uint64_t cn_sink_size(const cn_sink* sink);

/* fsync, rename, fsync of the directory. After a failure the target is untouched and the temporary is gone; only when
 * syncing the folder fails, the last step, is the target already the new one, and the message says so. Of a directory
 * that was replaced, what cannot be removed stays under the temporary's name. A sink that failed before never commits. */
cornu_status cn_sink_commit(cn_sink* sink);
/* Whether the target is the new one: also where only its folder could not be synced after it. */
bool cn_sink_is_placed(const cn_sink* sink);
/* The bytes of a committed memory sink, the caller's: cn_free. */
void* cn_sink_take_memory(cn_sink* sink, uint64_t* size);
/* Frees the sink; without a commit before, removes the temporary. NULL is allowed. */
void cn_sink_close(cn_sink* sink);

#ifdef __cplusplus
}
#endif

#endif
