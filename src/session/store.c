/* The weight store. An entry keeps a small graph of its own, so that it can be evaluated again long after the session that
 * asked for it is gone. Invariant: entry->data never moves while the store lives. */
#include "session/store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/ref.h"
#include "base/hash.h"

typedef struct derived {
    struct derived* next;
    char* layout;
    void* data;
    cn_derive fn;
    void* user;
} derived;

/* A form in a residence: its memory is a part of a block. */
typedef struct resident {
    struct resident* next;
    const cn_residence* residence;
    cn_resident form;
} resident;

/* Memory that a residence gave for several forms. */
typedef struct block {
    struct block* next;
    const cn_residence* residence;
    void* memory;
} block;

struct cn_store_entry {
    cn_store_entry* next;
    char* key;
    uint64_t hash;
    cn_program program; /* the expression: its graph's last value is the constant */
    void* data;         /* dense elements */
    uint64_t bytes;
    uint64_t versions;  /* sum of the variables' versions when data was made: versions only rise */
    derived* forms;
    resident* residents;
};

#define BUCKETS 1024

struct cn_store {
    const cn_document* doc;
    pthread_mutex_t lock;
    cn_store_entry* buckets[BUCKETS];
    block* blocks;
    atomic_bool stale;
    uint64_t bytes;
};

cornu_status cn_store_create(const cn_document* doc, cn_store** out) {
    cn_store* store = cn_alloc_zero(1, sizeof *store);

    *out = NULL;
    if (!store) return CN_NO_MEMORY(sizeof *store);
    store->doc = doc;
    if (pthread_mutex_init(&store->lock, NULL) != 0) {
        cn_free(store);
        return CN_FAIL(NO_MEMORY, "a lock could not be made");
    }
    *out = store;
    return CORNU_OK;
}

static void free_entry(cn_store_entry* entry) {
    if (!entry) return;
    while (entry->forms) {
        derived* next = entry->forms->next;
        cn_free(entry->forms->layout);
        cn_free(entry->forms->user);
        cn_free_aligned(entry->forms->data);
        cn_free(entry->forms);
        entry->forms = next;
    }
    while (entry->residents) {
        resident* next = entry->residents->next;
        cn_free(entry->residents);
        entry->residents = next;
    }
    cn_program_deinit(&entry->program);
    cn_free_aligned(entry->data);
    cn_free(entry->key);
    cn_free(entry);
}

void cn_store_destroy(cn_store* store) {
    if (!store) return;
    for (int i = 0; i < BUCKETS; i++) {
        while (store->buckets[i]) {
            cn_store_entry* next = store->buckets[i]->next;
            free_entry(store->buckets[i]);
            store->buckets[i] = next;
        }
    }
    while (store->blocks) {
        block* next = store->blocks->next;
        store->blocks->residence->release(store->blocks->residence, store->blocks->memory);
        cn_free(store->blocks);
        store->blocks = next;
    }
    (void)pthread_mutex_destroy(&store->lock);
    cn_free(store);
}

/* ---- expressions ---- */

/* Copies node v of a graph and all that it depends on to another graph, whose slots are numbered anew. map: of each old value. */
static cornu_status copy_expression(const cn_program* from, cn_id v, cn_program* to) {
    cn_id* map = cn_alloc_zero((size_t)v + 1, sizeof *map);
    bool* needed = cn_alloc_zero((size_t)v + 1, sizeof *needed);
    cn_id* inputs = NULL;
    cornu_status st = CORNU_OK;
    size_t most = 1;

    cn_graph_init(&to->graph);
    to->slots = cn_alloc_zero((size_t)from->slot_count + 1, sizeof *to->slots);
    if (!map || !needed || !to->slots) {
        st = CN_NO_MEMORY((size_t)v * sizeof *map);
        goto done;
    }
    needed[v] = true;
    for (cn_id i = v; i >= 0; i--) {
        const cn_node* node = &from->graph.nodes[i];
        if (needed[i] && (size_t)node->input_count > most) most = (size_t)node->input_count;
        for (int k = 0; needed[i] && k < node->input_count; k++) {
            if (node->inputs[k] != CN_NONE) needed[node->inputs[k]] = true;
        }
    }
    inputs = cn_alloc_zero(most, sizeof *inputs);
    if (!inputs) {
        st = CN_NO_MEMORY(most * sizeof *inputs);
        goto done;
    }
    for (cn_id i = 0; i <= v; i++) {
        const cn_node* node = &from->graph.nodes[i];
        const cn_type* type = &from->graph.types[i];
        if (!needed[i]) continue;
        if (node->op == CN_OP_variable) {
            const cn_variable* variable = from->slots[node->attr.variable.slot];
            map[i] = cn_graph_variable(&to->graph, type, to->slot_count, variable->path);
            to->slots[to->slot_count++] = variable;
        } else if (node->op == CN_OP_constant) {
            map[i] = cn_graph_constant(&to->graph, type, node->attr.constant.data);
        } else {
            for (int k = 0; k < node->input_count; k++) inputs[k] = node->inputs[k] == CN_NONE ? CN_NONE : map[node->inputs[k]];
            map[i] = cn_graph_add(&to->graph, node->op, inputs, node->input_count, &node->attr);
        }
    }
    CN_STEP(cn_graph_status(&to->graph));
done:
    cn_free(map);
    cn_free(needed);
    cn_free(inputs);
    return st;
}

static uint64_t version_sum(const cn_program* program) {
    uint64_t sum = 0;
    for (int i = 0; i < program->slot_count; i++) sum += program->slots[i]->version;
    return sum;
}

typedef struct reading {
    const cn_document* doc;
    const cn_program* program;
} reading;

static cornu_status read_slot(void* user, int slot, void* dst) {
    const reading* r = user;
    return cn_document_read(r->doc, r->program->slots[slot], dst);
}

/* The failure of a residence, which may be in another library, becomes this library's. */
static cornu_status copied(const cn_residence* residence, cornu_status st) {
    return st == CORNU_OK ? st : cn_fail(st, __FILE__, __LINE__, "%s", residence->last_error());
}

static cornu_status evaluate(cn_store* store, cn_store_entry* entry) {
    reading r = {store->doc, &entry->program};
    derived* form;

    CN_TRY(cn_ref_evaluate(&entry->program.graph, entry->program.graph.count - 1, read_slot, &r, entry->data));
    for (form = entry->forms; form; form = form->next) CN_TRY(form->fn(form->user, entry->data, form->data));
    for (resident* on = entry->residents; on; on = on->next) {
        on->form.data = entry->data;
        CN_TRY(copied(on->residence, on->residence->fill(on->residence, &on->form)));
    }
    entry->versions = version_sum(&entry->program); /* only now: after a failure the next run tries again */
    return CORNU_OK;
}

/* Takes the program over when it succeeds. */
static cornu_status add_entry(cn_store* store, cn_program* program, const char* key, cn_store_entry** out) {
    cn_store_entry* entry = cn_alloc_zero(1, sizeof *entry);
    cornu_status st = CORNU_OK;

    if (!entry) return CN_NO_MEMORY(sizeof *entry);
    entry->bytes = cn_type_bytes(&program->graph.types[program->graph.count - 1]);
    entry->data = cn_alloc_aligned(entry->bytes);
    entry->key = cn_strdup(key);
    entry->hash = cn_hash(CN_HASH_START, key, strlen(key));
    entry->program = *program;
    memset(program, 0, sizeof *program);
    if (!entry->data || !entry->key) {
        st = CN_NO_MEMORY(entry->bytes);
        goto done;
    }
    CN_STEP(evaluate(store, entry));
    entry->next = store->buckets[entry->hash % BUCKETS];
    store->buckets[entry->hash % BUCKETS] = entry;
    store->bytes += entry->bytes;
    *out = entry;
    entry = NULL;
done:
    free_entry(entry);
    return st;
}

cornu_status cn_store_get(cn_store* store, const cn_program* program, cn_id v, cn_store_entry** out) {
    cn_program expression = {0};
    cn_buf key = {0};
    uint64_t hash;
    cornu_status st = CORNU_OK;

    *out = NULL;
    CN_STEP(copy_expression(program, v, &expression));
    cn_graph_print(&expression.graph, &key);
    CN_STEP(cn_buf_check(&key));
    hash = cn_hash(CN_HASH_START, key.data, key.size);
    (void)pthread_mutex_lock(&store->lock);
    for (cn_store_entry* e = store->buckets[hash % BUCKETS]; e && !*out; e = e->next) {
        if (e->hash == hash && strcmp(e->key, key.data) == 0) *out = e;
    }
    if (!*out) st = add_entry(store, &expression, key.data, out);
    (void)pthread_mutex_unlock(&store->lock);
done:
    cn_program_deinit(&expression);
    cn_buf_deinit(&key);
    return st;
}

const void* cn_store_data(const cn_store_entry* entry) { return entry->data; }

static cornu_status add_form(cn_store_entry* entry, const char* layout, uint64_t bytes, cn_derive fn, const void* user,
                             uint64_t user_size, derived** out) {
    derived* form = cn_alloc_zero(1, sizeof *form);
    cornu_status st = CORNU_OK;

    if (!form) return CN_NO_MEMORY(sizeof *form);
    form->layout = cn_strdup(layout);
    form->data = cn_alloc_aligned(bytes);
    form->user = cn_alloc(user_size);
    form->fn = fn;
    if (!form->layout || !form->data || !form->user) {
        st = CN_NO_MEMORY(bytes);
        goto done;
    }
    if (user_size) memcpy(form->user, user, user_size);
    CN_STEP(fn(form->user, entry->data, form->data));
    form->next = entry->forms;
    entry->forms = form;
    *out = form;
    form = NULL;
done:
    if (form) {
        cn_free(form->layout);
        cn_free_aligned(form->data);
        cn_free(form->user);
        cn_free(form);
    }
    return st;
}

cornu_status cn_store_derived(cn_store* store, cn_store_entry* entry, const char* layout, uint64_t bytes, cn_derive fn,
                              const void* user, uint64_t user_size, void** out) {
    derived* form = NULL;
    cornu_status st = CORNU_OK;

    (void)pthread_mutex_lock(&store->lock);
    for (form = entry->forms; form && strcmp(form->layout, layout) != 0;) form = form->next;
    if (!form) {
        st = add_form(entry, layout, bytes, fn, user, user_size, &form);
        if (st == CORNU_OK) store->bytes += bytes;
    }
    (void)pthread_mutex_unlock(&store->lock);
    *out = st == CORNU_OK ? form->data : NULL;
    return st;
}

/* ---- residents ---- */

static resident* find_resident(const cn_store_entry* entry, const cn_residence* residence, int form) {
    resident* r = entry->residents;
    while (r && (r->residence != residence || r->form.form != form)) r = r->next;
    return r;
}

/* A form that is to be made. */
typedef struct request {
    cn_store_entry* entry;
    resident* made;
    uint64_t place; /* of its first variable in the file */
    int index;      /* of the first residents[] that asks for it */
} request;

static int by_place(const void* a, const void* b) {
    const request *x = a, *y = b;
    return x->place != y->place ? (x->place < y->place ? -1 : 1) : x->index - y->index;
}

static bool asked_before(const request* requests, int count, const cn_store_entry* entry, int form) {
    for (int i = 0; i < count; i++) {
        if (requests[i].entry == entry && requests[i].made->form.form == form) return true;
    }
    return false;
}

/* The document keeps its variables in one array in the file's order. */
static uint64_t place_of(const cn_store_entry* entry) {
    return entry->program.slot_count > 0 ? (uint64_t)(uintptr_t)entry->program.slots[0] : UINT64_MAX;
}

/* Requests for what is not there yet, in the file's order. */
static cornu_status collect(cn_store_entry* const* entries, const cn_residence* residence, const cn_resident* residents,
                            int count, request* requests, int* missing) {
    for (int i = 0; i < count; i++) {
        cn_store_entry* entry = entries[residents[i].constant];
        request* r = &requests[*missing];
        if (find_resident(entry, residence, residents[i].form) || asked_before(requests, *missing, entry, residents[i].form)) continue;
        *r = (request){entry, cn_alloc_zero(1, sizeof(resident)), place_of(entry), i};
        if (!r->made) return CN_NO_MEMORY(sizeof(resident));
        ++*missing;
        r->made->residence = residence;
        r->made->form = residents[i];
        r->made->form.type = entry->program.graph.types[entry->program.graph.count - 1];
        r->made->form.data = entry->data;
    }
    qsort(requests, (size_t)*missing, sizeof *requests, by_place);
    return CORNU_OK;
}

static cornu_status make_residents(cn_store* store, const cn_residence* residence, request* requests, int count) {
    cn_resident* forms = cn_alloc_zero((size_t)count, sizeof *forms);
    block* memory = cn_alloc_zero(1, sizeof *memory);
    cornu_status st = CORNU_OK;

    if (!forms || !memory) {
        st = CN_NO_MEMORY((size_t)count * sizeof *forms);
        goto done;
    }
    for (int i = 0; i < count; i++) forms[i] = requests[i].made->form;
    CN_STEP(copied(residence, residence->make(residence, forms, count, &memory->memory)));
    memory->residence = residence;
    memory->next = store->blocks;
    store->blocks = memory;
    memory = NULL;
    for (int i = 0; i < count; i++) {
        requests[i].made->form = forms[i];
        requests[i].made->next = requests[i].entry->residents;
        requests[i].entry->residents = requests[i].made;
        requests[i].made = NULL;
    }
done:
    cn_free(memory);
    cn_free(forms);
    return st;
}

cornu_status cn_store_resident(cn_store* store, cn_store_entry* const* entries, const cn_residence* residence, cn_resident* residents, int count) {
    request* requests = cn_alloc_zero((size_t)count + 1, sizeof *requests);
    cornu_status st = CORNU_OK;
    int missing = 0;

    if (!requests) return CN_NO_MEMORY((size_t)count * sizeof *requests);
    (void)pthread_mutex_lock(&store->lock);
    CN_STEP(collect(entries, residence, residents, count, requests, &missing));
    if (missing > 0) CN_STEP(make_residents(store, residence, requests, missing));
    for (int i = 0; i < count; i++) {
        residents[i].address = find_resident(entries[residents[i].constant], residence, residents[i].form)->form.address;
    }
done:
    (void)pthread_mutex_unlock(&store->lock);
    for (int i = 0; i < missing; i++) cn_free(requests[i].made);
    cn_free(requests);
    return st;
}

bool cn_store_stale(const cn_store* store) { return atomic_load(&store->stale); }

void cn_store_touch(cn_store* store) { atomic_store(&store->stale, true); }

cornu_status cn_store_refresh(cn_store* store) {
    cornu_status st = CORNU_OK;

    (void)pthread_mutex_lock(&store->lock);
    for (int i = 0; i < BUCKETS && st == CORNU_OK; i++) {
        for (cn_store_entry* e = store->buckets[i]; e && st == CORNU_OK; e = e->next) {
            if (e->versions != version_sum(&e->program)) st = evaluate(store, e);
        }
    }
    if (st == CORNU_OK) atomic_store(&store->stale, false);
    (void)pthread_mutex_unlock(&store->lock);
    return st;
}

uint64_t cn_store_bytes(cn_store* store) {
    uint64_t bytes;

    (void)pthread_mutex_lock(&store->lock);
    bytes = store->bytes;
    (void)pthread_mutex_unlock(&store->lock);
    return bytes;
}
