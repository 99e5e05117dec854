/* Elementwise programs, casts, counting and random numbers.
 *
 * A program over values is made into one over an accumulator: each op finds one operand there, as a rule, and the other in an input or in a
 * slot; what is needed again later is kept in a slot, and a slot is free again after its value's last use. */
#include "kernels/elementwise.h"

#include "backend/cuda/cuda.h"
#include "base/dtype.h"
#include "kernels/class.h"

_Static_assert(CN_EW_INPUTS >= CN_FUSED_INPUTS && CN_EW_CODES >= 2 * CN_FUSED_OPS, "a fused program must fit the kernel's arguments");

/* ---- inputs ---- */

static bool step_over(const cn_ew_args* a, int d) {
    for (int k = 0; k < a->input_count; k++) {
        if (a->inputs[k].strides[d] != a->inputs[k].strides[d + 1] * a->dims[d + 1]) return false;
    }
    return true;
}

/* Joins neighbouring axes that every input passes alike. */
static void join_axes(cn_ew_args* a) {
    int kept = 0;

    for (int d = 1; d < a->ndim; d++) {
        a->dims[kept + 1] = a->dims[d];
        for (int k = 0; k < a->input_count; k++) a->inputs[k].strides[kept + 1] = a->inputs[k].strides[d];
        if (!step_over(a, kept)) {
            kept++;
            continue;
        }
        a->dims[kept] *= a->dims[kept + 1];
        for (int k = 0; k < a->input_count; k++) a->inputs[k].strides[kept] = a->inputs[k].strides[kept + 1];
    }
    if (a->ndim > 0) a->ndim = kept + 1;
}

/* Names the place of an input if its strides are those of one run of axes. */
static void name_place(const cn_ew_args* a, cn_ew_input* in) {
    int first = 0, last = a->ndim - 1;
    int64_t stride = 1;

    while (last >= 0 && in->strides[last] == 0) last--;
    while (first <= last && in->strides[first] == 0) first++;
    in->place = CN_EW_ONE;
    in->inner = in->period = 1;
    if (last < 0) return;
    for (int d = last; d >= first; d--) {
        in->place = CN_EW_EACH;
        if (in->strides[d] != stride) return;
        stride *= a->dims[d];
    }
    for (int d = last + 1; d < a->ndim; d++) in->inner *= a->dims[d];
    in->period = stride;
    in->place = in->inner == 1 && stride == a->count ? CN_EW_DENSE : CN_EW_GROUP;
}

/* The arguments without a program: the result and the inputs, broadcast to it. */
static void describe_inputs(const cn_cuda_executable* e, const cn_node* node, cn_ew_args* a) {
    const cn_type* out = cn_cuda_type(e, node);

    a->count = cn_type_count(out);
    a->dtype = (int)out->dtype;
    a->input_count = node->input_count;
    for (int d = 0; d < out->ndim; d++) { /* axes of one element are left out */
        if (out->dims[d] != 1) a->dims[a->ndim++] = out->dims[d];
    }
    for (int k = 0; k < node->input_count; k++) {
        const cn_type* in = cn_cuda_input_type(e, node, k);
        int64_t stride = 1;
        int at = a->ndim;
        a->inputs[k].dtype = (int)in->dtype;
        for (int d = out->ndim - 1, i = in->ndim - 1; d >= 0; d--, i--) {
            if (out->dims[d] != 1) a->inputs[k].strides[--at] = i >= 0 && in->dims[i] != 1 ? stride : 0;
            if (i >= 0) stride *= in->dims[i];
        }
    }
    join_axes(a);
    for (int k = 0; k < node->input_count; k++) name_place(a, &a->inputs[k]);
}

/* ---- programs ---- */

/* A parameter in the class that is computed in; of unsigned dtypes no parameter is below 0, as the reference has it. */
static cn_ew_number number_of(int kind, bool is_unsigned, double value) {
    cn_ew_number n = {0};

    if (is_unsigned && !(value > 0)) value = 0;
    switch (kind) {
        case CN_CLASS_FLOAT: n.f = (float)value; break;
        case CN_CLASS_DOUBLE: n.d = value; break;
        case CN_CLASS_INT: n.i = value != value ? 0 : value <= -0x1p63 ? INT64_MIN : value >= 0x1p63 ? INT64_MAX : (int64_t)value; break;
        default: n.u = value >= 0x1p64 ? UINT64_MAX : (uint64_t)value; break;
    }
    return n;
}

static void add_code(cn_ew_args* a, int fn, int source, bool swapped) {
    a->codes[a->code_count++] = (cn_ew_code){.fn = (int16_t)fn, .source = (int16_t)source, .swapped = swapped, .slot = -1};
}

static void add_function(cn_ew_args* a, const cn_act* act, bool is_unsigned, int source, bool swapped) {
    cn_ew_code* c = &a->codes[a->code_count];

    add_code(a, (int)act->fn, source, swapped);
    c->p = number_of(a->kind, is_unsigned, act->p);
    c->q = number_of(a->kind, is_unsigned, act->q);
    c->r = number_of(a->kind, is_unsigned, act->r);
}

/* One function of the node's inputs. */
static void make_function(cn_ew_args* a, const cn_act* act) {
    bool is_unsigned = cn_dtype_kind_of((cornu_dtype)a->inputs[a->input_count == 3 ? 1 : 0].dtype) == CN_KIND_U;

    add_code(a, CN_EW_LOAD, 0, false);
    if (a->input_count == 3) { /* select */
        add_code(a, CN_EW_MASK, CN_EW_NOTHING, false);
        add_code(a, CN_EW_LOAD, 1, false);
    }
    add_function(a, act, is_unsigned, a->input_count == 1 ? CN_EW_NOTHING : a->input_count - 1, false);
}

typedef struct compiler {
    cn_ew_args* args;
    int last_use[CN_FUSED_OPS];        /* of each op's value, the op that reads it last; -1: none */
    int slot_of[CN_FUSED_OPS];         /* -1: in the accumulator alone */
    bool taken[CN_FUSED_OPS];          /* slots */
} compiler;

/* Where value v is found by op i. */
static int source_of(const compiler* c, int v, int i) {
    int inputs = c->args->input_count;

    if (v < inputs) return v;
    if (v == inputs + i - 1) return CN_EW_ACCUMULATOR;
    return CN_EW_SLOT + c->slot_of[v - inputs];
}

static void keep_value(compiler* c, int i) {
    int slot = 0;

    c->slot_of[i] = -1;
    for (int k = 0; k < i; k++) { /* what op i was the last to read */
        if (c->slot_of[k] < 0 || c->last_use[k] > i) continue;
        c->taken[c->slot_of[k]] = false;
        c->slot_of[k] = -1;
    }
    if (c->last_use[i] <= i + 1) return; /* the next op finds it in the accumulator */
    while (c->taken[slot]) slot++;
    c->taken[slot] = true;
    c->slot_of[i] = slot;
    c->args->codes[c->args->code_count - 1].slot = (int16_t)slot;
    if (c->args->slots < slot + 1) c->args->slots = slot + 1;
}

static void make_program(cn_ew_args* a, const cn_fused_attr* program) {
    compiler c = {.args = a};

    for (int i = 0; i < program->count; i++) c.last_use[i] = -1;
    for (int i = 0; i < program->count; i++) {
        int arity = cn_ew_info_of(program->ops[i].act.fn)->arity;
        for (int k = 0; k < arity; k++) {
            if (program->ops[i].arg[k] >= a->input_count) c.last_use[program->ops[i].arg[k] - a->input_count] = i;
        }
    }
    for (int i = 0; i < program->count; i++) {
        const cn_fused_op* op = &program->ops[i];
        bool two = cn_ew_info_of(op->act.fn)->arity == 2;
        int x = source_of(&c, op->arg[0], i), z = two ? source_of(&c, op->arg[1], i) : CN_EW_NOTHING;
        bool swapped = two && z == CN_EW_ACCUMULATOR && x != CN_EW_ACCUMULATOR;
        if (swapped) z = x;
        else if (x != CN_EW_ACCUMULATOR) add_code(a, CN_EW_LOAD, x, false);
        if (!swapped && two && op->arg[1] == op->arg[0]) z = CN_EW_ACCUMULATOR;
        add_function(a, &op->act, false, z, swapped);
        keep_value(&c, i);
    }
}

static cornu_status launch_program(const cn_cuda_step* step, const cn_cuda_frame* frame) {
    cn_ew_args a = *(const cn_ew_args*)step->data;

    for (int k = 0; k < a.input_count; k++) a.inputs[k].data = cn_cuda_in(step, frame, k);
    a.out = cn_cuda_out(step, frame);
    return CN_CUDA_OK(cn_k_elementwise(&frame->queue, &a));
}

static cornu_status prepare_program(cn_cuda_executable* e, cn_cuda_step* step) {
    cn_ew_args* a = cn_cuda_data(e, step, sizeof *a);
    const cn_node* node = step->node;

    if (!a) return CN_NO_MEMORY(sizeof *a);
    describe_inputs(e, node, a);
    a->kind = (int)cn_class_of(a->inputs[node->op == CN_OP_ew && node->input_count == 3 ? 1 : 0].dtype);
    if (node->op == CN_OP_ew) make_function(a, &node->attr.ew);
    else if (node->op == CN_OP_fused) make_program(a, &node->attr.fused);
    else add_code(a, CN_EW_LOAD, 0, false);
    step->launch = launch_program;
    return CORNU_OK;
}

/* ---- casts ---- */

static cornu_status launch_copy(const cn_cuda_step* step, const cn_cuda_frame* frame) {
    const void* x = cn_cuda_in(step, frame, 0);
    void* y = cn_cuda_out(step, frame);
    const uint64_t* bytes = step->data;

    if (x == y) return CORNU_OK;
    return CN_CUDA_OK(cn_calls()->MemcpyAsync(y, x, *bytes, cudaMemcpyDefault, frame->queue.stream));
}

static cornu_status launch_complex_cast(const cn_cuda_step* step, const cn_cuda_frame* frame) {
    cn_complex_cast_args a = *(const cn_complex_cast_args*)step->data;

    a.x = cn_cuda_in(step, frame, 0);
    a.y = cn_cuda_out(step, frame);
    return CN_CUDA_OK(cn_k_complex_cast(&frame->queue, &a));
}

static cornu_status prepare_cast(cn_cuda_executable* e, cn_cuda_step* step) {
    const cn_type *from = cn_cuda_input_type(e, step->node, 0), *to = cn_cuda_type(e, step->node);

    if (from->dtype == to->dtype) {
        uint64_t* bytes = cn_cuda_data(e, step, sizeof *bytes);
        if (!bytes) return CN_NO_MEMORY(sizeof *bytes);
        *bytes = cn_type_bytes(to);
        step->launch = launch_copy;
        return CORNU_OK;
    }
    if (cn_dtype_kind_of(from->dtype) == CN_KIND_C || cn_dtype_kind_of(to->dtype) == CN_KIND_C) {
        cn_complex_cast_args* a = cn_cuda_data(e, step, sizeof *a);
        if (!a) return CN_NO_MEMORY(sizeof *a);
        *a = (cn_complex_cast_args){.count = cn_type_count(to), .from = (int)from->dtype, .to = (int)to->dtype};
        step->launch = launch_complex_cast;
        return CORNU_OK;
    }
    return prepare_program(e, step);
}

/* ---- counting and random numbers ---- */

static cornu_status launch_iota(const cn_cuda_step* step, const cn_cuda_frame* frame) {
    cn_iota_args a = *(const cn_iota_args*)step->data;

    a.y = cn_cuda_out(step, frame);
    return CN_CUDA_OK(cn_k_iota(&frame->queue, &a));
}

static cornu_status prepare_iota(cn_cuda_executable* e, cn_cuda_step* step) {
    const cn_iota_attr* attr = &step->node->attr.iota;
    cn_iota_args* a = cn_cuda_data(e, step, sizeof *a);

    if (!a) return CN_NO_MEMORY(sizeof *a);
    *a = (cn_iota_args){.count = attr->count, .dtype = (int)attr->dtype, .begin = attr->begin, .step = attr->step};
    step->launch = launch_iota;
    return CORNU_OK;
}

static cornu_status launch_random(const cn_cuda_step* step, const cn_cuda_frame* frame) {
    cn_random_args a = *(const cn_random_args*)step->data;

    a.words = frame->words;
    a.y = cn_cuda_out(step, frame);
    return CN_CUDA_OK(cn_k_random(&frame->queue, &a));
}

static cornu_status prepare_random(cn_cuda_executable* e, cn_cuda_step* step) {
    const cn_random_attr* attr = &step->node->attr.random;
    cn_random_args* a = cn_cuda_data(e, step, sizeof *a);

    if (!a) return CN_NO_MEMORY(sizeof *a);
    *a = (cn_random_args){.count = cn_type_count(cn_cuda_type(e, step->node)), .dtype = (int)attr->dtype, .normal = attr->normal, .stream = attr->stream};
    step->launch = launch_random;
    return CORNU_OK;
}

cornu_status cn_cuda_prepare_elementwise(cn_cuda_executable* e, cn_cuda_step* step) {
    switch (step->node->op) {
        case CN_OP_ew:
        case CN_OP_fused: return prepare_program(e, step);
        case CN_OP_cast: return prepare_cast(e, step);
        case CN_OP_iota: return prepare_iota(e, step);
        case CN_OP_random: return prepare_random(e, step);
        default: return CORNU_OK;
    }
}
