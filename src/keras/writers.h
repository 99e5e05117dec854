/* What a document can be saved as. */
#ifndef CN_KERAS_WRITERS_H
#define CN_KERAS_WRITERS_H

#include "keras/parts.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A row of the table. */
typedef struct cn_writer {
    cornu_format id;
    const char* name;         /* as cn_format.name */
    const char* extensions[3]; /* by which a path means it; NULL behind the last */
    /* Writes a document of Keras 3's form to job->sink, up to but not including the commit. */
    cornu_status (*save)(cn_document* doc, cn_save_job* job);
    bool weights_only, config_only;
} cn_writer;

/* The row that a save to path means; CORNU_BAD_ARGUMENT names the extensions. */
cornu_status cn_writer_of_path(const char* path, cornu_format asked, const cn_writer** out);
/* Row i of the table, NULL beyond the end. */
const cn_writer* cn_writer_at(size_t i);

/* Tells the caller of the save what cannot be carried. */
void cn_save_note(const cn_save_job* job, const char* format, ...) __attribute__((format(printf, 2, 3)));

/* write_h5.c */
cornu_status cn_save_h5(cn_document* doc, cn_save_job* job);
cornu_status cn_save_h5_weights(cn_document* doc, cn_save_job* job);
/* write_json.c */
cornu_status cn_save_json(cn_document* doc, cn_save_job* job);
/* write_npz.c */
cornu_status cn_save_npz(cn_document* doc, cn_save_job* job);
/* write_sharded.c: job->sink gets the map; the shards are written beside it, all of them in place before it is. */
cornu_status cn_save_sharded(cn_document* doc, cn_save_job* job);

#ifdef __cplusplus
}
#endif

#endif
