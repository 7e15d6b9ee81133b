/* base/log.c: see log.h. */
#include "base/log.h"

#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static enum log_level current_level = LOG_WARNING;
static char *(*line_filter)(const char *line);
static void (*line_sink)(enum log_level level, const char *line, void *data);
static void *line_sink_data;

void log_set_level(enum log_level level)
{
    current_level = level;
}

enum log_level log_level(void)
{
    return current_level;
}

void log_set_filter(char *(*filter)(const char *line))
{
    line_filter = filter;
}

void log_set_sink(void (*sink)(enum log_level level, const char *line, void *data), void *data)
{
    line_sink = sink;
    line_sink_data = data;
}

static void emit(enum log_level level, const char *prefix, const char *fmt, va_list ap)
{
    struct buf line = BUF_INIT;
    char *filtered;

    if (level > current_level)
        return;
    buf_puts(&line, prefix);
    buf_vprintf(&line, fmt, ap);
    filtered = line_filter == NULL ? NULL : line_filter(line.data);
    if (line_sink != NULL)
        line_sink(level, filtered != NULL ? filtered : line.data, line_sink_data);
    else
        fprintf(stderr, "%s\n", filtered != NULL ? filtered : line.data);
    free(filtered);
    buf_free(&line);
}

#define LOG_FUNCTION(name, level, prefix)                                                                    \
    void name(const char *fmt, ...)                                                                          \
    {                                                                                                        \
        va_list ap;                                                                                          \
                                                                                                             \
        va_start(ap, fmt);                                                                                   \
        emit(level, prefix, fmt, ap);                                                                        \
        va_end(ap);                                                                                          \
    }

LOG_FUNCTION(log_error, LOG_ERROR, "cadre: ")
LOG_FUNCTION(log_warning, LOG_WARNING, "cadre: warning: ")
LOG_FUNCTION(log_info, LOG_INFO, "cadre: ")
LOG_FUNCTION(log_debug, LOG_DEBUG, "cadre: debug: ")
