/* config/toml_reader.h: what toml.c and toml_reader.cc know of each other; nobody else includes it. */
#ifndef CADRE_CONFIG_TOML_READER_H
#define CADRE_CONFIG_TOML_READER_H

#include "config/toml.h"

struct toml_value *toml_reader_parse(const char *text, size_t n, const char *file, struct error *err);

/* Adds a member without looking for an older one of that name. Takes VALUE. */
void toml_reader_add(struct toml_value *table, const char *key, size_t n, struct toml_value *value);

#endif
