/* Structs of cornu.h that begin with their size, which the caller sets, so that they can grow. */
#ifndef CN_API_SIZED_H
#define CN_API_SIZED_H

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* CORNU_BAD_ARGUMENT: the size of a struct that is to be filled in cannot even hold itself. */
cornu_status cn_sized_check(const size_t* size, const char* what);
/* Copies all but the size, as far as both structs reach. */
void cn_sized_give(void* to, const void* from, size_t size_there, size_t size_here);

#ifdef __cplusplus
}
#endif

#endif
