/* base/json_schema.h: does a value follow a JSON schema? The part of it that models write for results.
 *
 * Checked: type (one or several), enum, const, properties, required, additionalProperties, minProperties, maxProperties,
 * items, minItems, maxItems, uniqueItems, minLength, maxLength (in characters), minimum, maximum, exclusiveMinimum,
 * exclusiveMaximum, multipleOf, anyOf, oneOf, allOf, not, and the schemas true and false. What only describes (title,
 * description, default, examples, format, $schema, $id, $comment, deprecated, readOnly, writeOnly) is passed over. Any
 * other keyword ($ref, pattern, if ...) makes json_schema_check_form() refuse the schema: a rule that nobody checks would
 * be a promise that nobody keeps. */
#ifndef CADRE_BASE_JSON_SCHEMA_H
#define CADRE_BASE_JSON_SCHEMA_H

#include "base/error.h"

#include <jansson.h>

#define JSON_SCHEMA_MAX_DEPTH 32

/* Is SCHEMA one that can be checked here? -1 with ERR (ERROR_PARSE) naming the place and the keyword. */
int json_schema_check_form(const json_t *schema, struct error *err);

/* Does VALUE follow SCHEMA (whose form was checked)? -1 with ERR (ERROR_PARSE) naming the place in VALUE and what is
 * expected there. */
int json_schema_validate(const json_t *schema, const json_t *value, struct error *err);

#endif
