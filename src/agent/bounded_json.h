/* agent/bounded_json.h: what another program sends, cut to what an event may hold. */
#ifndef CADRE_AGENT_BOUNDED_JSON_H
#define CADRE_AGENT_BOUNDED_JSON_H

#include <jansson.h>
#include <stddef.h>

/* A string value of at most 16 KiB: the middle of more is left out. */
json_t *bounded_text(const char *text, size_t n);

/* A copy of VALUE with bounded strings, at most 256 members a level, and what is nested deeper than 8 levels left out
 * (null). A new reference. */
json_t *bounded_copy(const json_t *value);

#endif
