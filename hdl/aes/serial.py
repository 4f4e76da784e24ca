"""An AES core that does one byte a cycle, with one S-box."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import memory, wiring

from hdl.aes.core import AESCoreSignature, encrypt_block, rounds
from hdl.aes.sbox import SBOX, multiply

__all__ = ["SerialAES"]

#: SubBytes of a byte in the low half of a word, and twice that (FIPS 197, 4.2.1) in the high one.
_TABLE = [substitute | multiply(substitute, 2) << 8 for substitute in SBOX]


class SerialAES(wiring.Component):
    """AES-128 and AES-256 encryption (FIPS 197, 5.1), a byte of SubBytes a cycle.

    The ports are those of `AESCoreSignature`, for ``keys`` keys.

    A result is valid 193 cycles after its request was taken for AES-128 and 269 for AES-256: three,
    and 19 a round. The next request can be taken in the cycle after the result is. A result that
    is not taken holds the core; once taken, it stands in no register. Time depends on key sizes and
    handshakes, never on data.

    The table of the S-box is a synchronous memory, 256 words of 16 bits: one block memory of an
    iCE40.
    """

    def __init__(self, keys: int):
        super().__init__(AESCoreSignature(keys))

    @staticmethod
    def model(key: bytes, block: bytes) -> bytes:
        """The result of a request."""
        return encrypt_block(key, block)

    @staticmethod
    def latency(aes256: bool) -> int:
        """Cycles from taking a request to its result."""
        return 3 + 19 * rounds(aes256)

    def elaborate(self, platform):
        m = Module()
        m.submodules.table = table = memory.Memory(shape=16, depth=256, init=_TABLE)
        read = table.read_port()
        request = self.requests.payload

        state = Signal(128)  # byte 0 is substituted next; it turns in the order of ShiftRows
        mixed = Signal(128)  # the columns after MixColumns, the latest one on top
        column = Signal(32)
        key = Signal.like(request.key)
        aes256 = Signal()
        number = Signal(4)  # of the next round key
        step = Signal(range(18))
        final = Signal()
        # Chosen here and not in the states: so they are multiplexers of two, with enable and reset.
        taken, added, substituted, column_full, given = (Signal() for _ in range(5))
        with m.If(added | substituted):
            m.d.sync += state.eq(Mux(added, mixed ^ self.round_key, state.rotate_right(5 * 8)))
        with m.If(taken | column_full):
            m.d.sync += mixed.eq(Mux(taken, request.block, Cat(mixed[32:], column)))
        with m.If(given):
            m.d.sync += [state.eq(0), mixed.eq(0)]
        m.d.comb += [
            final.eq(number == Mux(aes256, rounds(True), rounds(False))),
            self.round_key_address.key.eq(key),
            self.round_key_address.round.eq(number),
            self.results.payload.eq(state),
            read.addr.eq(state[:8]),
        ]
        m.d.sync += column.eq(_add_byte(column, read.data, first=step[:2] == 1, final=final))

        with m.FSM():
            with m.State("idle"):
                m.d.comb += self.requests.ready.eq(1)
                m.d.sync += [number.eq(0), key.eq(request.key), aes256.eq(request.aes256)]
                m.d.sync += step.eq(1)  # a new column in each cycle: nothing of the last one stays
                with m.If(self.requests.valid):
                    m.d.comb += taken.eq(1)
                    m.next = "read"
            with m.State("read"):
                m.next = "add"
            with m.State("add"):
                # AddRoundKey.
                m.d.comb += added.eq(1)
                m.d.sync += [number.eq(number + 1), step.eq(0)]
                m.next = "substitute"
                with m.If(final):
                    m.next = "done"
            with m.State("substitute"):
                m.d.comb += [
                    substituted.eq(1),
                    column_full.eq((step[:2] == 1) & (step != 1)),
                ]
                m.d.sync += step.eq(step + 1)
                with m.If(step == 17):
                    m.next = "add"
            with m.State("done"):
                m.d.comb += self.results.valid.eq(1)
                with m.If(self.results.ready):
                    m.d.comb += given.eq(1)
                    m.next = "idle"
        return m


def _add_byte(column, words, first, final):
    """MixColumns (FIPS 197, 5.1.3) byte by byte: what the next byte, the lowest row first, adds.

    Each byte adds to the column as if it stood in row 3, and turns upwards a row with each that
    follows. In the ``final`` round there is no MixColumns.
    """
    once, twice = words[:8], words[8:]
    turned = Mux(first, 0, column.rotate_right(8))
    ordinary = Cat(once, once, once ^ twice, twice)
    return turned ^ Mux(final, Cat(once & 0, once & 0, once & 0, once), ordinary)
