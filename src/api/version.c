/* The version of the library that is loaded. */
#include "cornu.h"

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

const char* cornu_version(void) {
    return TEXT(CORNU_VERSION_MAJOR) "." TEXT(CORNU_VERSION_MINOR) "." TEXT(CORNU_VERSION_PATCH);
}
