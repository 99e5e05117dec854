/* A plug-in that must be refused, for the reason that CORNU_TEST_PLUGIN names. */
#include <stdlib.h>
#include <string.h>

#include "backend/plugin.h"

const cn_plugin* cornu_plugin_table(void);

const cn_plugin* cornu_plugin_table(void) {
    static cn_plugin table = {.magic = CN_PLUGIN_MAGIC, .abi = CN_PLUGIN_ABI, .version = CN_PLUGIN_VERSION, .kind = "refused"};
    const char* fault = getenv("CORNU_TEST_PLUGIN");

    table.layout = cn_plugin_layout();
    if (!fault || strcmp(fault, "table") == 0) return NULL;
    if (strcmp(fault, "magic") == 0) table.magic++;
    if (strcmp(fault, "abi") == 0) table.abi++;
    if (strcmp(fault, "version") == 0) table.version = "0.0.1";
    if (strcmp(fault, "layout") == 0) table.layout++;
    return &table;
}
