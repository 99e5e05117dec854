#include "keras/parts.h"
#include "keras/upgrade.h"
void cn_upgrade_follow(cn_document* doc, const cn_variable* variable) { (void)doc; (void)variable; }
