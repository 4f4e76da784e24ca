"""An AES core that does one round a cycle."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring

from hdl.aes.core import AESCoreSignature, encrypt_block, rounds
from hdl.aes.round import Round
from hdl.aes.sbox import SBoxForm

__all__ = ["IterativeAES"]


class IterativeAES(wiring.Component):
    """AES-128 and AES-256 encryption (FIPS 197, 5.1) in one round of hardware.

    The ports are those of `AESCoreSignature`, for ``keys`` keys.

    A request is taken one cycle after it became valid, or later if the core is busy: in the cycle
    before, its whitening key is read. Its result is valid 11 cycles after the request was taken
    for AES-128 and 15 for AES-256. The next request can be taken in the cycle in which the result
    is, so the throughput is a block in 11 or 15 cycles. A result that is not taken holds the core;
    once taken, it stands in no register. Time depends on key sizes and handshakes, never on data.
    """

    def __init__(self, keys: int, sbox: SBoxForm = SBoxForm.COMPOSITE):
        self._sbox = sbox
        super().__init__(AESCoreSignature(keys))

    @staticmethod
    def model(key: bytes, block: bytes) -> bytes:
        """The result of a request."""
        return encrypt_block(key, block)

    @staticmethod
    def interval(aes256: bool) -> int:
        """Cycles from taking a request to its result, and between requests at best."""
        return rounds(aes256) + 1

    def elaborate(self, platform):
        m = Module()
        m.submodules.round = round_ = Round(self._sbox)

        request, address = self.requests.payload, self.round_key_address
        state = Signal(128)
        key = Signal.like(request.key)
        aes256 = Signal()
        round_number = Signal(4)  # from 1; 0 when no round is being done
        running = Signal()
        final = Signal()
        take = Signal()
        whitening_key_read = Signal()

        m.d.comb += [
            running.eq(round_number != 0),
            final.eq(round_number == Mux(aes256, rounds(True), rounds(False))),
            round_.state.eq(state),
            round_.round_key.eq(self.round_key),
            round_.final.eq(final),
            self.results.payload.eq(state),
            self.requests.ready.eq(
                whitening_key_read & ~running & (~self.results.valid | self.results.ready)
            ),
            take.eq(self.requests.valid & self.requests.ready),
        ]

        # The key for the next round or, when there is none, the whitening key of the next block.
        with m.If(take):
            m.d.comb += [address.key.eq(request.key), address.round.eq(1)]
        with m.Elif(running & ~final):
            m.d.comb += [address.key.eq(key), address.round.eq(round_number + 1)]
        with m.Else():
            m.d.comb += [address.key.eq(request.key), address.round.eq(0)]
            m.d.sync += whitening_key_read.eq(self.requests.valid)

        with m.If(self.results.ready):
            m.d.sync += [self.results.valid.eq(0), state.eq(0)]
        with m.If(take):
            m.d.sync += [
                state.eq(request.block ^ self.round_key),
                key.eq(request.key),
                aes256.eq(request.aes256),
                round_number.eq(1),
                whitening_key_read.eq(0),
            ]
        with m.If(running):
            m.d.sync += [
                state.eq(round_.next_state),
                round_number.eq(Mux(final, 0, round_number + 1)),
                self.results.valid.eq(final),
            ]
        return m
