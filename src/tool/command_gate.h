/* tool/command_gate.h: a command of the model on its way to being started: rules, policy, and perhaps somebody's word. */
#ifndef CADRE_TOOL_COMMAND_GATE_H
#define CADRE_TOOL_COMMAND_GATE_H

#include "tool/tool_internal.h"

/* Decides whether ARGV may be started for CALL, now or once somebody has answered, and calls START (OUTSIDE: of the
 * sandbox) or answers the model with the refusal. SHOWN is the command as a person reads it. ARGS may hold
 * sandbox_permissions, justification and prefix_rule. START gets copies of ARGV and ARGS that live until it returns. */
void command_gate_pass(struct tool_call *call, const json_t *args, const char *const *argv, const char *shown,
                       void (*start)(struct tool_call *call, const json_t *args, const char *const *argv, bool outside));

#endif
