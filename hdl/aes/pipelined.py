"""An AES core that takes a block a cycle."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring

from hdl.aes.core import encrypt_block, rounds
from hdl.aes.engine import AESEngineSignature
from hdl.aes.history import History
from hdl.aes.round_stage import RoundStage
from hdl.aes.sbox import SBoxForm
from hdl.block_ram import BlockRAM

__all__ = ["PipelinedAES"]

_ENTRY_CYCLES = 3  # two to read the whitening key, one to add it
_ROUND_CYCLES = 3
_ROUNDS, _SHORT_ROUNDS = rounds(aes256=True), rounds(aes256=False)


class PipelinedAES(wiring.Component):
    """AES-128 and AES-256 encryption (FIPS 197, 5.1) in a pipeline of 14 rounds.

    The ports are those of `AESEngineSignature`, for ``keys`` keys. A request is taken in every
    cycle, and its result is valid `latency` cycles after it was taken, whatever its key size:
    AES-128 blocks leave the pipeline behind round 10 and pass the time of the other four in a delay
    line. Keys and key sizes may change with every block.

    Each round reads its keys from a memory of its own, which holds that round's key of all keys.
    Time depends on nothing but when requests come. When there is no result, ``results.payload`` is
    undefined.
    """

    #: Cycles from taking a request to its result.
    latency = _ENTRY_CYCLES + _ROUND_CYCLES * _ROUNDS
    #: Cycles between requests at best.
    interval = 1

    def __init__(self, keys: int, sbox: SBoxForm = SBoxForm.BLOCK_RAM):
        self._sbox = sbox
        super().__init__(AESEngineSignature(keys))
        #: The round keys: one memory a round, and the whitening keys first; one row a key.
        self.round_keys = [BlockRAM(128, keys) for _ in range(_ROUNDS + 1)]

    @staticmethod
    def model(key: bytes, block: bytes) -> bytes:
        """The result of a request."""
        return encrypt_block(key, block)

    def elaborate(self, platform):
        m = Module()
        request = self.requests.payload
        m.d.comb += self.requests.ready.eq(1)

        valid = History(m, "valid", self.requests.valid, self.latency, reset_less=False)
        key = History(m, "key", request.key, _ENTRY_CYCLES + _ROUND_CYCLES * (_ROUNDS - 1))
        aes256 = History(m, "aes256", request.aes256, self.latency - 1)
        block = History(m, "block", request.block, _ENTRY_CYCLES - 1)

        # A word to write goes from memory to memory, for they lie far apart; a block that needs it
        # is slower.
        word = data.StructLayout(
            {"address": self.write_address.shape(), "data": len(self.write_data)}
        )
        given = Cat(self.write_address, self.write_data)
        writes = History(m, "write", self.write, _ROUNDS, reset_less=False)
        words = History(m, "word", given, _ROUNDS + 1)
        for number, memory in enumerate(self.round_keys):
            m.submodules[f"round_keys_{number}"] = memory
            coming, write = (data.View(word, words[number + i]) for i in range(2))
            m.d.sync += memory.write.eq(writes[number] & (coming.address.round == number))
            m.d.comb += [
                memory.write_address.eq(write.address.key),
                memory.write_data.eq(write.data),
                # Two cycles before the key is added: a whole round later for every round.
                memory.read_address.eq(key[_ROUND_CYCLES * number]),
            ]

        state = Signal(128, name="state_0", reset_less=True)
        m.d.sync += state.eq(block[_ENTRY_CYCLES - 1] ^ self.round_keys[0].read_data)
        for number in range(1, _ROUNDS + 1):
            m.submodules[f"round_{number}"] = stage = RoundStage(self._sbox)
            m.d.comb += [
                stage.state.eq(state),
                stage.round_key.eq(self.round_keys[number].read_data),
            ]
            state = Signal(128, name=f"state_{number}", reset_less=True)
            this_aes256 = aes256[_ROUND_CYCLES * (number + 1) - 1]
            if number == _SHORT_ROUNDS:
                m.d.sync += state.eq(Mux(this_aes256, stage.next_state, stage.last_state))
                cycles = _ROUND_CYCLES * (_ROUNDS - _SHORT_ROUNDS) - 1
                short_result = History(m, "short_result", state, cycles)[cycles]
            elif number == _ROUNDS:
                m.d.sync += state.eq(Mux(this_aes256, stage.last_state, short_result))
            else:
                m.d.sync += state.eq(stage.next_state)
        m.d.comb += [
            self.results.valid.eq(valid[self.latency]),
            self.results.payload.eq(state),
        ]
        return m
