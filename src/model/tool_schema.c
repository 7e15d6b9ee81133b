/* model/tool_schema.c: the list of tools in wire form. */
#include "model/tool_schema.h"

#include "base/buf.h"
#include "model/wire.h"

char *tool_schema_write(enum wire_api wire, const struct tool_schema *tools, size_t count)
{
    struct buf out = BUF_INIT;

    if (count == 0)
        return NULL;
    wire_ops_of(wire)->write_tools(&out, tools, count);
    return buf_take(&out);
}
