/* Seals a record, opens it, and has a damaged one refused; prints each completion in hexadecimal. */
#include "intaglio.h"
#include "soc.h"

enum { INFO = 1, LOAD = 2, SEAL = 4, OPEN = 5 };
enum { LOAD_BYTES = 108, ROOM = 256 };
enum { FOR_SEALING = 1, FOR_OPENING = 2 };

__attribute__((naked, section(".start"))) void _start(void)
{
    __asm__ volatile("li sp, %0\n j main" ::"i"(SRAM_BASE + SRAM_SIZE));
}

static void print(char character)
{
    while (*(volatile uint32_t *)CSR_UART_TXFULL_ADDR) { }
    *(volatile uint32_t *)CSR_UART_RXTX_ADDR = (uint8_t)character;
}

static void print_bytes(const uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at < size; at++) {
        print("0123456789abcdef"[bytes[at] >> 4]);
        print("0123456789abcdef"[bytes[at] & 15]);
    }
    print('\n');
}

/* Asks with the payload in `packet`, where the completion comes too; returns its size. */
static size_t ask(uint8_t *packet, uint8_t opcode, uint8_t slot, size_t payload)
{
    const uint8_t header[] = {opcode, 0, 0, slot, 0, 0, payload >> 8, payload};
    for (size_t at = 0; at < sizeof header; at++)
        packet[at] = header[at];
    intaglio_send(INTAGLIO_BASE, packet, INTAGLIO_HEADER_BYTES + payload);
    while (!*(volatile uint32_t *)CSR_INTAGLIO_EV_STATUS_ADDR) { } /* the interrupt's line */
    size_t size = intaglio_receive(INTAGLIO_BASE, packet, ROOM);
    print_bytes(packet, size);
    return size;
}

/* Not keys to keep: driver.messages.Load has the fields in this order. */
static void load(uint8_t *packet, uint8_t slot, uint8_t usage)
{
    uint8_t *payload = packet + INTAGLIO_HEADER_BYTES;
    for (size_t at = 0; at < LOAD_BYTES; at++)
        payload[at] = 0;
    payload[0] = 1; /* TLS_AES_128_GCM_SHA256 */
    payload[1] = usage;
    payload[2] = 0x0C; /* headers with a length and 16 bits of the number */
    payload[5] = 3;    /* the epoch */
    for (size_t at = 0; at < 12; at++)
        payload[12 + at] = 0xA0 + at; /* the IV */
    for (size_t at = 0; at < 16; at++) {
        payload[44 + at] = at;        /* the key */
        payload[76 + at] = 0x40 + at; /* the record-number key */
    }
    ask(packet, LOAD, slot, LOAD_BYTES);
}

int main(void)
{
    static const uint8_t content[] = {'h', 'e', 'l', 'l', 'o', 23 /* application data */};
    uint8_t packet[ROOM];
    *intaglio_register(INTAGLIO_BASE, INTAGLIO_INTERRUPT_ENABLE) = INTAGLIO_CAN_READ;
    ask(packet, INFO, 0, 0);
    load(packet, 0, FOR_SEALING);
    load(packet, 1, FOR_OPENING);
    for (size_t at = 0; at < sizeof content; at++)
        packet[INTAGLIO_HEADER_BYTES + at] = content[at];
    size_t sealed = ask(packet, SEAL, 0, sizeof content) - INTAGLIO_HEADER_BYTES;
    uint8_t record[ROOM];
    for (size_t at = 0; at < sealed; at++)
        record[at] = packet[INTAGLIO_HEADER_BYTES + at];
    for (size_t damage = 0; damage < 2; damage++) {
        for (size_t at = 0; at < sealed; at++)
            packet[INTAGLIO_HEADER_BYTES + at] = record[at];
        packet[INTAGLIO_HEADER_BYTES + sealed - 1] ^= damage;
        ask(packet, OPEN, 1, sealed);
    }
    while (!*(volatile uint32_t *)CSR_UART_TXEMPTY_ADDR) { } /* the last one has left */
    for (;;) { }
}
