/* Tables of text, wrapped to the terminal where there is one. */
#include "table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli.h"
#include "text.h"

#define NARROWEST 8

/* What lines are drawn with, and where: left end, between columns, right end. */
typedef struct line_style {
    const char *dash, *left, *cross, *right;
} line_style;
static const line_style box_top = {"─", "┌", "┬", "┐"}, box_head = {"━", "┝", "┿", "┥"}, box_row = {"─", "├", "┼", "┤"},
                        box_bottom = {"─", "└", "┴", "┘"};

void cli_table_init(cli_table* table, const char* align) {
    memset(table, 0, sizeof *table);
    table->align = align;
    table->columns = (int)strlen(align);
}

void cli_table_deinit(cli_table* table) {
    for (int i = 0; i < table->rows * table->columns; i++) free(table->cells[i]);
    free(table->cells);
    table->cells = NULL;
}

void cli_table_add(cli_table* table, const char* const* texts) {
    if (table->rows == table->capacity) {
        const int capacity = table->capacity > 0 ? 2 * table->capacity : 16;
        char** cells = cli_alloc((size_t)(capacity * table->columns), sizeof *cells);
        if (table->rows > 0) memcpy(cells, table->cells, sizeof *cells * (size_t)(table->rows * table->columns));
        free(table->cells);
        table->cells = cells;
        table->capacity = capacity;
    }
    for (int i = 0; i < table->columns; i++) {
        table->cells[table->rows * table->columns + i] = cli_clean_text(texts[i] != NULL ? texts[i] : "", 0);
    }
    table->rows++;
}

static int terminal_columns(FILE* out) {
    struct winsize size;
    if (ioctl(fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
    return size.ws_col;
}

/* Takes columns from the widest until all fit. */
static void shrink(int* widths, int columns, int room) {
    for (;;) {
        int total = 3 * columns + 1;
        int widest = 0;
        for (int i = 0; i < columns; i++) {
            total += widths[i];
            if (widths[i] > widths[widest]) widest = i;
        }
        if (total <= room || widths[widest] <= NARROWEST) return;
        widths[widest]--;
    }
}

static void print_line(const line_style* style, const int* widths, int columns, FILE* out) {
    for (int i = 0; i < columns; i++) {
        fputs(i == 0 ? style->left : style->cross, out);
        for (int j = 0; j < widths[i] + 2; j++) fputs(style->dash, out);
    }
    fprintf(out, "%s\n", style->right);
}

static void pad(int count, FILE* out) {
    for (int i = 0; i < count; i++) fputc(' ', out);
}

/* One line of a boxed row; moves each text on. Returns 0 where nothing was left. */
static int print_boxed_line(const cli_table* table, const int* widths, const char** texts, FILE* out) {
    int any = 0;
    for (int i = 0; i < table->columns; i++) any |= texts[i][0] != '\0';
    if (!any) return 0;
    for (int i = 0; i < table->columns; i++) {
        const size_t size = cli_text_fit(texts[i], widths[i]);
        char* part = cli_format("%.*s", (int)size, texts[i]);
        const int space = widths[i] - cli_text_width(part);
        fputs(i == 0 ? "│ " : " │ ", out);
        if (table->align[i] == 'r') pad(space, out);
        fputs(part, out);
        if (table->align[i] != 'r') pad(space, out);
        free(part);
        texts[i] += size;
    }
    fputs(" │\n", out);
    return 1;
}

static void print_boxed(const cli_table* table, int* widths, FILE* out) {
    const char* texts[CLI_TABLE_COLUMNS];
    shrink(widths, table->columns, terminal_columns(out));
    for (int row = 0; row < table->rows; row++) {
        const line_style* above = row == 0 ? &box_top : row == 1 ? &box_head : &box_row;
        print_line(above, widths, table->columns, out);
        for (int i = 0; i < table->columns; i++) texts[i] = table->cells[row * table->columns + i];
        while (print_boxed_line(table, widths, texts, out)) continue;
    }
    print_line(&box_bottom, widths, table->columns, out);
}

/* Columns two spaces apart, nothing behind the last text, dashes under the header. */
static void print_plain(const cli_table* table, const int* widths, FILE* out) {
    for (int row = 0; row < table->rows; row++) {
        int last = table->columns - 1;
        while (last > 0 && table->cells[row * table->columns + last][0] == '\0') last--;
        for (int i = 0; i <= last; i++) {
            const char* text = table->cells[row * table->columns + i];
            const int space = widths[i] - cli_text_width(text);
            if (table->align[i] == 'r') pad(space, out);
            fputs(text, out);
            if (i < last) pad((table->align[i] == 'r' ? 0 : space) + 2, out);
        }
        fputc('\n', out);
        for (int i = 0; row == 0 && i < table->columns; i++) {
            for (int j = 0; j < widths[i]; j++) fputc('-', out);
            fputs(i + 1 < table->columns ? "  " : "\n", out);
        }
    }
}

void cli_table_print(const cli_table* table, FILE* out) {
    int widths[CLI_TABLE_COLUMNS] = {0};
    for (int i = 0; i < table->rows * table->columns; i++) {
        const int width = cli_text_width(table->cells[i]);
        if (width > widths[i % table->columns]) widths[i % table->columns] = width;
    }
    if (isatty(fileno(out))) print_boxed(table, widths, out);
    else print_plain(table, widths, out);
}
