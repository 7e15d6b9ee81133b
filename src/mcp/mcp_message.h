/* mcp/mcp_message.h: what the Model Context Protocol says, without any transport: revisions, request metadata, tool
 * lists, results.
 *
 * Revisions (https://modelcontextprotocol.io/specification): 2026-07-28 is stateless, each request carries version and
 * capabilities in `_meta`; 2025-11-25 and earlier begin with `initialize`. */
#ifndef CADRE_MCP_MCP_MESSAGE_H
#define CADRE_MCP_MCP_MESSAGE_H

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MCP_VERSION_STATELESS "2026-07-28"
#define MCP_VERSION_SESSION   "2025-11-25" /* what initialize asks for */

#define MCP_MAX_TOOLS             256
#define MCP_MAX_NAME_BYTES        256
#define MCP_MAX_DESCRIPTION_BYTES 4096
#define MCP_MAX_SCHEMA_BYTES      ((size_t)64 << 10)
#define MCP_MAX_MESSAGE_BYTES     ((size_t)16 << 20)

enum { /* error codes that only a server of the stateless revision sends */
       MCP_HEADER_MISMATCH = -32020,
       MCP_MISSING_CAPABILITY = -32021,
       MCP_UNSUPPORTED_VERSION = -32022,
};

/* Is VERSION a revision with sessions that we can speak? */
bool mcp_version_has_sessions(const char *version);

/* Does an error object say that the server knows the stateless revisions? */
bool mcp_error_is_stateless(const json_t *rpc_error);

/* Who we are, as `clientInfo`; what we can do, as `capabilities`. A server of its own machine (HAS_ROOTS) is told of
 * folders. New references. */
json_t *mcp_client_info(void);
json_t *mcp_client_capabilities(bool has_roots);

/* PARAMS (may be NULL) as text with the request's `_meta`: a progress token when >= 0 and, when IS_STATELESS, version,
 * client and capabilities. Caller frees. */
char *mcp_params(const json_t *params, bool is_stateless, bool has_roots, int64_t progress_token);

/* Our answer to a request of the server by policy: `ping` and `roots/list` are answered, `elicitation/create` is
 * declined (nobody is asked). NULL for every other method (sampling among them). ROOTS are absolute folders. New
 * reference. */
json_t *mcp_policy_answer(const char *method, const struct str_list *roots);

/* The responses to `inputRequests` of an `input_required` result; NULL when one cannot be answered. New reference. */
json_t *mcp_policy_answers(const json_t *input_requests, const struct str_list *roots);

/* --- Tools --- */

struct mcp_param_header { /* an argument that is repeated as a header (x-mcp-header) */
    char *name;           /* "Mcp-Param-Region" */
    struct str_list path; /* of the property below `arguments` */
};

struct mcp_tool {
    char *name;
    char *description;
    char *schema;  /* JSON schema of an object, text */
    int read_only; /* readOnlyHint: 1, 0, or -1 when the server says nothing */
    struct mcp_param_header *headers;
    size_t header_count;
};

struct mcp_tool_list {
    struct mcp_tool *items;
    size_t len;
};
void mcp_tool_list_finish(struct mcp_tool_list *list);

/* Appends the tools of a `tools/list` RESULT. What is malformed, too large or one too many is left out, with a line in
 * PROBLEMS. -1 with ERR when the result is no tool list at all. */
int mcp_tool_list_add(struct mcp_tool_list *list, const json_t *result, struct str_list *problems,
                      struct error *err);
void mcp_tool_list_sort(struct mcp_tool_list *list); /* by name; of equal names the first stays */

/* Appends "Name: value" for each header that TOOL repeats of ARGUMENTS. */
void mcp_tool_headers(const struct mcp_tool *tool, const json_t *arguments, struct str_list *headers);

/* VALUE as a header's value: as it is when it is plain ASCII, else "=?base64?...?=". */
void mcp_header_value(struct buf *out, const char *value);

/* A name that every model API takes ([a-zA-Z0-9_-], at most 64): "mcp__SERVER__TOOL"; cut and ended with a hash when
 * longer or when IS_TAKEN. Caller frees. */
char *mcp_tool_name(const char *server, const char *tool, bool is_taken);

/* --- Results, as text for a model --- */

struct mcp_image { /* the first image of a result; zeroed: none */
    char *mime;
    char *base64;
};

/* `tools/call`. *IS_ERROR is what the server says of it. */
void mcp_render_call(struct buf *out, const json_t *result, struct mcp_image *image, bool *is_error);
/* `resources/read`, `prompts/get`, and the lists of both. */
void mcp_render_resource(struct buf *out, const json_t *result);
void mcp_render_prompt(struct buf *out, const json_t *result);
void mcp_render_list(struct buf *out, const json_t *result, const char *member);

#endif
