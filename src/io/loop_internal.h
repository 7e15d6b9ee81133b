/* io/loop_internal.h: what other files of io/ need of the loop. Not for other layers. */
#ifndef CADRE_IO_LOOP_INTERNAL_H
#define CADRE_IO_LOOP_INTERNAL_H

struct loop;

/* State that a module keeps once a loop. */
enum loop_slot {
    LOOP_SLOT_PROCESSES,
    LOOP_SLOT_COUNT,
};

/* NULL until set. */
void *loop_slot_get(const struct loop *loop, enum loop_slot slot);

/* DESTROY is called by loop_destroy() while handles can still be closed. */
void loop_slot_set(struct loop *loop, enum loop_slot slot, void *value, void (*destroy)(void *value));

#endif
