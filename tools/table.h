/* A table of text. On a terminal it is drawn with box characters and fits the terminal; elsewhere it is plain ASCII,
 * with one line a row, for other programs to read. */
#ifndef CORNU_CLI_TABLE_H
#define CORNU_CLI_TABLE_H

#include <stdio.h>

#define CLI_TABLE_COLUMNS 8

typedef struct cli_table {
    const char* align; /* "llr": one letter a column, left or right */
    int columns;
    int rows;
    int capacity;
    char** cells; /* [rows, columns] */
} cli_table;

void cli_table_init(cli_table* table, const char* align);
void cli_table_deinit(cli_table* table);
/* Adds a row of table->columns texts, copied. The first row is the header. */
void cli_table_add(cli_table* table, const char* const* texts);
void cli_table_print(const cli_table* table, FILE* out);

#endif
