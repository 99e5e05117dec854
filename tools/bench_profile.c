/* Where the time of a run goes: one table of its steps, one of the kernels. Rates are of the least that has to be done and moved, so a
 * rate near the peak means that nothing is left to gain. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "table.h"

static cornu_profile_info info_of(const cornu_profile* profile) {
    cornu_profile_info info;
    memset(&info, 0, sizeof info);
    info.size = sizeof info;
    if (cornu_profile_get_info(profile, &info) != CORNU_OK) memset(&info, 0, sizeof info);
    return info;
}

static cornu_profile_step step_of(const cornu_profile* profile, int64_t i) {
    cornu_profile_step step;
    memset(&step, 0, sizeof step);
    step.size = sizeof step;
    if (cornu_profile_get_step(profile, i, &step) != CORNU_OK) memset(&step, 0, sizeof step);
    return step;
}

/* Work in ms, as 1e9 a second. */
static double rate(double work, double ms) { return ms > 0 ? work / ms / 1e6 : 0; }

/* "1234.5 (28%)" of a rate in units of 1e9; divided by scale. */
static char* rate_text(double value, double peak, double scale) {
    if (value <= 0) return cli_format("-");
    if (peak > 0) return cli_format("%.3g (%.0f%%)", value / scale, 100 * value / peak);
    return cli_format("%.3g", value / scale);
}

typedef struct row {
    const char *label, *op, *kernel;
    int64_t steps;
    double ms, flops, bytes;
} row;

static void add_row(cli_table* table, const cornu_profile_info* info, const row* r) {
    char* ms = cli_format("%.4f", r->ms);
    char* share = cli_format("%.1f%%", info->steps_ms > 0 ? 100 * r->ms / info->steps_ms : 0);
    char* bandwidth = rate_text(rate(r->bytes, r->ms), info->peak_gb_per_s, 1);
    char* flops = rate_text(rate(r->flops, r->ms), info->peak_gflop_per_s, 1000);
    cli_table_add(table, (const char* const[]){r->label, r->op, r->kernel, ms, share, bandwidth, flops});
    free(ms);
    free(share);
    free(bandwidth);
    free(flops);
}

static void print_steps(const cornu_profile* profile, const cornu_profile_info* info, FILE* out) {
    cli_table table;
    cli_table_init(&table, "lllrrrr");
    cli_table_add(&table, (const char* const[]){"Layer", "Op", "Kernel", "ms", "Share", "GB/s", "TFLOP/s"});
    for (int64_t i = 0; i < info->step_count; i++) {
        const cornu_profile_step s = step_of(profile, i);
        const row r = {s.layer, s.op, s.kernel, 1, s.ms, (double)s.flops, (double)s.bytes};
        add_row(&table, info, &r);
    }
    cli_table_print(&table, out);
    cli_table_deinit(&table);
}

static int by_time(const void* a, const void* b) {
    const double x = ((const row*)a)->ms, y = ((const row*)b)->ms;
    return (x < y) - (x > y);
}

/* Sums of the steps with the same op and kernel. */
static int64_t sum_kernels(const cornu_profile* profile, int64_t steps, row* rows) {
    int64_t count = 0;
    for (int64_t i = 0; i < steps; i++) {
        const cornu_profile_step s = step_of(profile, i);
        int64_t k = 0;
        while (k < count && (strcmp(rows[k].op, s.op) != 0 || strcmp(rows[k].kernel, s.kernel) != 0)) k++;
        if (k == count) rows[count++] = (row){"", s.op, s.kernel, 0, 0, 0, 0};
        rows[k].steps++;
        rows[k].ms += s.ms;
        rows[k].flops += (double)s.flops;
        rows[k].bytes += (double)s.bytes;
    }
    qsort(rows, (size_t)count, sizeof *rows, by_time);
    return count;
}

static void print_kernels(const cornu_profile* profile, const cornu_profile_info* info, FILE* out) {
    row* rows = cli_alloc((size_t)info->step_count + 1, sizeof *rows);
    const int64_t count = sum_kernels(profile, info->step_count, rows);
    cli_table table;
    cli_table_init(&table, "rllrrrr");
    cli_table_add(&table, (const char* const[]){"Steps", "Op", "Kernel", "ms", "Share", "GB/s", "TFLOP/s"});
    for (int64_t i = 0; i < count; i++) {
        char* steps = cli_format("%" PRId64, rows[i].steps);
        rows[i].label = steps;
        add_row(&table, info, &rows[i]);
        free(steps);
    }
    cli_table_print(&table, out);
    cli_table_deinit(&table);
    free(rows);
}

void bench_profile_print(const cornu_profile* profile, FILE* out) {
    const cornu_profile_info info = info_of(profile);
    fprintf(out, "%s: a run takes %.4f ms, its %" PRId64 " steps one by one %.4f ms", info.device, info.run_ms, info.step_count, info.steps_ms);
    if (info.peak_gb_per_s > 0) fprintf(out, "; peak %.0f GB/s, %.1f TFLOP/s", info.peak_gb_per_s, info.peak_gflop_per_s / 1000);
    fputs("\n\nBy layer:\n", out);
    print_steps(profile, &info, out);
    fputs("\nBy kernel:\n", out);
    print_kernels(profile, &info, out);
    fputc('\n', out);
}

void bench_profile_json(const cornu_profile* profile, cli_json* json) {
    const cornu_profile_info info = info_of(profile);
    cli_json_number(json, "run_ms", info.run_ms, 1);
    cli_json_number(json, "steps_ms", info.steps_ms, 1);
    cli_json_number(json, "peak_gb_per_s", info.peak_gb_per_s, 1);
    cli_json_number(json, "peak_gflop_per_s", info.peak_gflop_per_s, 1);
    cli_json_open_array(json, "profile");
    for (int64_t i = 0; i < info.step_count; i++) {
        const cornu_profile_step s = step_of(profile, i);
        cli_json_open_object(json, NULL);
        cli_json_text(json, "layer", s.layer);
        cli_json_text(json, "op", s.op);
        cli_json_text(json, "kernel", s.kernel);
        cli_json_text(json, "result", s.result);
        cli_json_int(json, "launches", s.launches);
        cli_json_number(json, "ms", s.ms, 1);
        cli_json_uint(json, "flops", s.flops);
        cli_json_uint(json, "bytes", s.bytes);
        cli_json_number(json, "gb_per_s", rate((double)s.bytes, s.ms), 1);
        cli_json_number(json, "gflop_per_s", rate((double)s.flops, s.ms), 1);
        cli_json_close(json);
    }
    cli_json_close(json);
}
