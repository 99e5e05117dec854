/* Structs that begin with their size. */
#include "api/sized.h"

#include <string.h>

cornu_status cn_sized_check(const size_t* size, const char* what) {
    if (*size < sizeof *size) return CN_FAIL(BAD_ARGUMENT, "%s.size is %zu; set it to the size of the struct", what, *size);
    return CORNU_OK;
}

void cn_sized_give(void* to, const void* from, size_t size_there, size_t size_here) {
    size_t size = size_there < size_here ? size_there : size_here;
    if (size > sizeof(size_t)) memcpy((char*)to + sizeof(size_t), (const char*)from + sizeof(size_t), size - sizeof(size_t));
}
