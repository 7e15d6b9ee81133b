/* base/log.h: diagnostics on standard error. Results never go through here. */
#ifndef CADRE_BASE_LOG_H
#define CADRE_BASE_LOG_H

enum log_level {
    LOG_ERROR,
    LOG_WARNING, /* default: errors and warnings are shown */
    LOG_INFO,    /* -v */
    LOG_DEBUG,   /* -v -v */
};

void log_set_level(enum log_level level);
enum log_level log_level(void);

/* Every line passes through FILTER first (redaction of secrets); NULL removes it. FILTER returns a fresh
 * string, or NULL for "unchanged". */
void log_set_filter(char *(*filter)(const char *line));

/* Lines go to SINK instead of standard error (a live view that owns the terminal); NULL restores. */
void log_set_sink(void (*sink)(enum log_level level, const char *line, void *data), void *data);

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
