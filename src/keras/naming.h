/* How Keras names the groups of what a container holds: "dense", "dense_1", ... counted for each class. */
#ifndef CN_KERAS_NAMING_H
#define CN_KERAS_NAMING_H

#include "keras/layer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cn_naming_entry {
    const char* base; /* NULL: free */
    uint64_t next;    /* number of the next member of that class */
} cn_naming_entry;

/* Counters of one container. */
typedef struct cn_naming {
    cn_naming_entry* counters;
    size_t capacity; /* a power of two, at least twice the members */
} cn_naming;

/* Room for count members, in arena. */
cornu_status cn_naming_init(cn_naming* naming, cn_arena* arena, size_t count);
/* The counter of a base, which is borrowed. */
uint64_t* cn_naming_counter(cn_naming* naming, const char* base);
/* What a class of Keras is called in Python; class_name for all others. */
const char* cn_naming_python(const char* class_name);
/* The other way round. */
const char* cn_naming_exported(const char* python_name);
/* The name of a class's first member; NULL when there is no memory. */
const char* cn_naming_base(cn_arena* arena, const char* class_name);

#ifdef __cplusplus
}
#endif

#endif
