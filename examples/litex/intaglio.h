/* Requests and completions through the registers that docs/registers.md describes. */
#ifndef INTAGLIO_H
#define INTAGLIO_H

#include <stddef.h>
#include <stdint.h>

enum {
    INTAGLIO_IDENTITY = 0x00,
    INTAGLIO_STATUS = 0x04,
    INTAGLIO_INTERRUPT_ENABLE = 0x08,
    INTAGLIO_REQUEST = 0x0C, /* REQUEST_LAST_n is 4 n bytes above it */
    INTAGLIO_COMPLETION = 0x20,
};

enum { INTAGLIO_CAN_WRITE = 1, INTAGLIO_CAN_READ = 2 };

enum { INTAGLIO_HEADER_BYTES = 8 };

static volatile uint32_t *intaglio_register(uintptr_t base, size_t address)
{
    return (volatile uint32_t *)(base + address);
}

static void intaglio_wait(uintptr_t base, uint32_t status)
{
    while (!(*intaglio_register(base, INTAGLIO_STATUS) & status)) { }
}

/* Sends a packet of at least one byte. */
static void intaglio_send(uintptr_t base, const uint8_t *packet, size_t size)
{
    while (size) {
        size_t count = size < 4 ? size : 4;
        size_t last = size == count ? 4 * count : 0;
        uint32_t word = 0;
        for (size_t byte = 0; byte < count; byte++)
            word |= (uint32_t)packet[byte] << 8 * byte;
        intaglio_wait(base, INTAGLIO_CAN_WRITE);
        *intaglio_register(base, INTAGLIO_REQUEST + last) = word;
        packet += count;
        size -= count;
    }
}

/* Takes one completion and returns its size in bytes; those beyond `room` are dropped. */
static size_t intaglio_receive(uintptr_t base, uint8_t *packet, size_t room)
{
    size_t size = INTAGLIO_HEADER_BYTES;
    for (size_t at = 0; at < size; at += 4) {
        intaglio_wait(base, INTAGLIO_CAN_READ);
        uint32_t word = *intaglio_register(base, INTAGLIO_COMPLETION);
        for (size_t byte = at; byte < at + 4 && byte < room; byte++)
            packet[byte] = word >> 8 * (byte - at);
        if (at == 4) /* its length, big-endian */
            size += (word >> 16 & 0xFF) << 8 | word >> 24;
    }
    return size;
}

#endif
