/* The tables of ops and elementwise functions, expanded from op.def and ew.def. */
#include "graph/op.h"

#include <stddef.h>

static const cn_op_info ops[CN_OP_COUNT] = {
#define CN_OP(name, low, high, attr, placement) [CN_OP_##name] = {#name, low, high, CN_ATTR_##attr, CN_PLACE_##placement},
#include "graph/op.def"
#undef CN_OP
};

#define RESULT_SAME false
#define RESULT_BOOL true
static const cn_ew_info functions[CN_EW_COUNT] = {
#define CN_EW1(name, domains, result, f, df) [CN_EW_##name] = {#name, 1, #domains, RESULT_##result},
#define CN_EW2(name, domains, result, f, dx, dz) [CN_EW_##name] = {#name, 2, #domains, RESULT_##result},
#define CN_EW3(name, domains, result, f) [CN_EW_##name] = {#name, 3, #domains, RESULT_##result},
#include "base/ew.def"
#undef CN_EW1
#undef CN_EW2
#undef CN_EW3
};

const cn_op_info* cn_op_info_of(cn_op op) { return (unsigned)op < CN_OP_COUNT ? &ops[op] : NULL; }

const cn_ew_info* cn_ew_info_of(cn_ew fn) { return (unsigned)fn < CN_EW_COUNT ? &functions[fn] : NULL; }
