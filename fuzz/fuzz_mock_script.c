/* Scripts and requests of the mock server: the text up to the first NUL byte is a script, the rest a request. */
#include "base/json.h"
#include "model/mock_reply.h"
#include "model/mock_script.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    size_t cut = size > 0 ? strnlen(text, size) : 0;
    struct mock_script *script = mock_script_parse(text, cut, "script", NULL);
    json_t *body;

    if (script == NULL)
        return 0;
    body = cut + 1 < size ? json_parse(text + cut + 1, size - cut - 1, "body", NULL) : NULL;
    for (int wire = WIRE_RESPONSES; wire <= WIRE_MESSAGES; wire++) {
        struct mock_request request = {.role = "r", .task = "t"};
        struct mock_stream stream = {.bytes = BUF_INIT};
        struct mock_rule *rule;

        mock_request_read(&request, (enum wire_api)wire, body, true);
        rule = mock_script_match(script, &request);
        if (rule != NULL) {
            mock_reply_write(&stream, &rule->reply, &request);
            mock_stream_spoil(&stream);
            free(mock_rule_divergence(rule, &request));
        }
        mock_stream_finish(&stream);
        mock_request_finish(&request);
    }
    json_decref(body);
    mock_script_destroy(script);
    return 0;
}
