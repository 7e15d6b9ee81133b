/* model/tool_schema.h: a tool as a model is told of it, in no provider's form; written for each wire API.
 *
 * Custom (free-form) tools exist in the Responses API alone; elsewhere they become a function {input}.
 * Namespaces too: elsewhere their tools are plain functions named "namespace__tool". A call to a namespace
 * tool is reported as "namespace.tool" by the Responses API and as "namespace__tool" by the others. */
#ifndef CADRE_MODEL_TOOL_SCHEMA_H
#define CADRE_MODEL_TOOL_SCHEMA_H

#include "model/conversation.h"

#include <stdbool.h>
#include <stddef.h>

enum tool_schema_kind {
    TOOL_SCHEMA_FUNCTION,
    TOOL_SCHEMA_CUSTOM,
    TOOL_SCHEMA_NAMESPACE,
};

struct tool_schema { /* all borrowed */
    enum tool_schema_kind kind;
    const char *name;
    const char *description;
    const char *parameters;     /* function: JSON schema text of an object; NULL: no parameters */
    const char *grammar_syntax; /* custom: "lark" or "regex"; NULL: any text */
    const char *grammar;
    const struct tool_schema *tools; /* namespace: its functions */
    size_t tool_count;
};

/* The JSON array of the tools in WIRE's form, for conversation_create(). NULL when COUNT is 0. Caller
 * frees. */
char *tool_schema_write(enum wire_api wire, const struct tool_schema *tools, size_t count);

#endif
