"""An AES core with one pipelined round, through which its blocks go around."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring

from hdl.aes.core import encrypt_block, rounds
from hdl.aes.engine import AESEngineSignature
from hdl.aes.history import History
from hdl.aes.round_stage import RoundStage
from hdl.aes.sbox import SBoxForm
from hdl.block_ram import BlockRAM

__all__ = ["RingAES"]

_ROUND_CYCLES = 3


class RingAES(wiring.Component):
    """AES-128 and AES-256 encryption (FIPS 197, 5.1) in one round of hardware and three places.

    The ports are those of `AESEngineSignature`, for ``keys`` keys. A round takes three cycles, so
    that three blocks go around in it, one behind the other, each 10 or 14 times. A block enters its
    place as the one before leaves it: the throughput is 3 blocks in 30 cycles for AES-128, 3 in 42
    for AES-256. A request is taken in the cycle in which a place comes by that is free, and its
    result is valid `latency` cycles later.

    Results come in the order of the requests: an AES-128 block would overtake an AES-256 block, so
    it is not taken before 13 cycles after one. Where requests are ``spacing`` cycles apart, and
    twice that where one is left out, their results shall be too: then it waits for twice the
    ``spacing`` more. Time depends on when requests come and on their key sizes, never on keys or
    data. When there is no result, ``results.payload`` is undefined.

    Whitening keys stand in a memory of their own: a block that enters needs one in the very cycle
    in which the block that leaves needs its last round key.

    Places are taken in turn: 10 cycles after another, the next one comes by. In another order, each
    would have to wait for its place, and 3 requests 10 cycles apart would take 33 cycles. Where
    requests are so far apart that there is always a free one, any place will do.
    """

    def __init__(self, keys: int, sbox: SBoxForm = SBoxForm.BLOCK_RAM, spacing: int = 0):
        self._sbox = sbox
        self._spacing = spacing
        super().__init__(AESEngineSignature(keys))
        #: Row ``round + 16 * key``, as in `round_key_address_layout`.
        self.round_keys = BlockRAM(128, 16 * keys)
        #: Row ``key``.
        self.whitening_keys = BlockRAM(128, keys)

    @staticmethod
    def model(key: bytes, block: bytes) -> bytes:
        """The result of a request."""
        return encrypt_block(key, block)

    @staticmethod
    def interval(aes256: bool) -> int:
        """Cycles between requests on average, where all have this key size."""
        return rounds(aes256)

    @staticmethod
    def latency(aes256: bool) -> int:
        """Cycles from taking a request to its result."""
        return _ROUND_CYCLES * (rounds(aes256) + 1)

    def elaborate(self, platform):
        m = Module()
        m.submodules.round_keys = self.round_keys
        m.submodules.whitening_keys = self.whitening_keys
        m.submodules.stage = stage = RoundStage(self._sbox)
        request = self.requests.payload
        # The place that comes by, and the block in it if it is busy: the round that starts now.
        place = Signal(_place_layout(request.key.shape()))
        take, leave, free = Signal(), Signal(), Signal(init=1)
        m.d.comb += [
            self.requests.ready.eq(
                free & (request.aes256 | self._overtakes_none(m, take)) & self._in_turn(m, take)
            ),
            take.eq(self.requests.valid & self.requests.ready),
            leave.eq(place.busy & place.last),
        ]
        self._turn(m, place, free, take)
        self._write_keys(m)

        entering = History(m, "entering", take, _ROUND_CYCLES - 1)
        leaving = History(m, "leaving", leave, _ROUND_CYCLES, reset_less=False)
        block = History(m, "block", request.block, _ROUND_CYCLES - 1)
        state, result = Signal(128, reset_less=True), Signal(128, reset_less=True)
        whitened = block[_ROUND_CYCLES - 1] ^ self.whitening_keys.read_data
        m.d.comb += [
            self.whitening_keys.read_address.eq(request.key),
            self.round_keys.read_address.eq(Cat(place.round, place.key)),
            stage.state.eq(state),
            stage.round_key.eq(self.round_keys.read_data),
            self.results.valid.eq(leaving[_ROUND_CYCLES]),
            self.results.payload.eq(result),
        ]
        m.d.sync += [
            state.eq(Mux(entering[_ROUND_CYCLES - 1], whitened, stage.next_state)),
            result.eq(stage.last_state),
        ]
        return m

    def _overtakes_none(self, m: Module, take: Value) -> Value:
        """Whether an AES-128 block that is taken now would leave behind all others."""
        lead = self.latency(aes256=True) - self.latency(aes256=False) + 2 * self._spacing
        wait, free = Signal(range(lead + 1)), Signal(init=1)
        with m.If(take & self.requests.payload.aes256):
            m.d.sync += [wait.eq(lead), free.eq(0)]
        with m.Elif(~free):
            m.d.sync += [wait.eq(wait - 1), free.eq(wait == 1)]
        return free

    def _in_turn(self, m: Module, take: Value) -> Value:
        """Whether the place that comes by is the one behind that which was taken last."""
        if self._spacing >= self.interval(aes256=True):
            return Const(1)
        turn = Signal(_ROUND_CYCLES, init=1)
        m.d.sync += turn.eq(Mux(take, 1, turn.rotate_left(1)))
        return turn[0]

    def _turn(self, m: Module, place: data.View, free: Value, take: Value) -> None:
        """Make the next round out of the one that starts now; it starts `_ROUND_CYCLES` later.

        ``free`` says of the place that comes by that it is not busy, or its block leaves.
        """
        request = self.requests.payload
        following = Signal.like(place)
        m.d.comb += following.eq(place)
        with m.If(take):
            m.d.comb += [
                following.busy.eq(1),
                following.last.eq(0),
                following.round.eq(1),
                following.key.eq(request.key),
                following.aes256.eq(request.aes256),
            ]
        with m.Else():
            last = Mux(place.aes256, rounds(aes256=True), rounds(aes256=False))
            m.d.comb += [
                following.busy.eq(place.busy & ~place.last),
                following.last.eq(place.round + 1 == last),
                following.round.eq(place.round + 1),
            ]
        past = History(m, "place", following.as_value(), _ROUND_CYCLES, reset_less=False)
        m.d.comb += place.eq(past[_ROUND_CYCLES])
        behind = data.View(place.shape(), past[_ROUND_CYCLES - 1])
        m.d.sync += free.eq(~behind.busy | behind.last)

    def _write_keys(self, m: Module) -> None:
        address = self.write_address
        m.d.comb += [
            self.round_keys.write.eq(self.write),
            self.round_keys.write_address.eq(address),
            self.round_keys.write_data.eq(self.write_data),
            self.whitening_keys.write.eq(self.write & (address.round == 0)),
            self.whitening_keys.write_address.eq(address.key),
            self.whitening_keys.write_data.eq(self.write_data),
        ]


def _place_layout(key) -> data.StructLayout:
    return data.StructLayout({"busy": 1, "last": 1, "round": 4, "key": key, "aes256": 1})
