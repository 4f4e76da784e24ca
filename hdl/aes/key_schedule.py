"""The key expansion of FIPS 197, 5.2, as a stream of round keys.

Each round key is four words of the expanded key, and in both key sizes exactly one of them, the
first, takes a substituted word: so four bytes through the S-box give a whole round key.

    AES-128: round key r + 1 from round key r;       RotWord and Rcon each time
    AES-256: round key r + 2 from r and r + 1;       RotWord and Rcon for even r, else neither
"""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.aes.core import expand_key, rounds
from hdl.aes.round import xtime
from hdl.aes.sbox import PipelinedSBox, SBoxForm

__all__ = ["KeyRequest", "KeySchedule", "RoundKey"]

#: A key to expand: byte n in bits 8n to 8n + 7, AES-128 keys in the low half.
KeyRequest = data.StructLayout({"key": 256, "aes256": 1})

#: A round key (a block) and its number: 0, the whitening key, to 10 or 14.
RoundKey = data.StructLayout({"round": 4, "round_key": 128})


#: One to rotate the word, four for its bytes, two in the S-box.
_SUBSTITUTION_CYCLES = 7


class KeySchedule(wiring.Component):
    """Expands keys for encryption, with one S-box.

    ``keys`` takes one key; ``round_keys`` then gives its round keys in order, one in 9 cycles: 11
    for AES-128, 15 for AES-256. The next key is taken in the cycle after the last of them, at the
    earliest: every 100 or 136 cycles. No key is left in a register once its last round key has been
    taken.
    """

    keys: In(stream.Signature(KeyRequest))
    round_keys: Out(stream.Signature(RoundKey))

    def __init__(self, sbox: SBoxForm = SBoxForm.COMPOSITE):
        self._sbox = sbox
        super().__init__()

    @staticmethod
    def model(key: bytes) -> list[bytes]:
        """The round keys of ``key``, in order."""
        return expand_key(key)

    def elaborate(self, platform):
        m = Module()

        current = Signal(128)  # the round key to give next
        following = Signal(128)  # AES-256: the one after it
        computed = Signal(128)  # the first one that is not in a register
        last_word = Signal(32)
        rotated = Signal(32)
        aes256 = Signal()
        with_constant = Signal()
        round_constant = Signal(8)
        constant = Signal(8)
        busy = Signal()
        steps = Signal(_SUBSTITUTION_CYCLES)  # a one for each that was done for this round key
        number = Signal(4)
        last = Signal()
        moves = Signal()  # a round key was taken
        begins, waits = busy & ~steps[0], steps[-1]
        substituted = self._substitute(m, rotated, begins, waits)
        m.d.comb += [
            # AES-256 leaves RotWord and Rcon out of every other round key.
            with_constant.eq(~aes256 | ~number[0]),
            last_word.eq(Mux(aes256, following[96:], current[96:])),
            rotated.eq(Mux(with_constant, last_word.rotate_right(8), last_word)),
            constant.eq(Mux(with_constant, round_constant, 0)),
            computed.eq(_add_words(current, substituted ^ constant)),
            last.eq(number == Mux(aes256, rounds(True), rounds(False))),
            self.keys.ready.eq(~busy),
            self.round_keys.valid.eq(waits & ~moves),
            self.round_keys.payload.round.eq(number),
            self.round_keys.payload.round_key.eq(current),
        ]

        taken = self.keys.valid & self.keys.ready
        m.d.sync += [
            moves.eq(self.round_keys.valid & self.round_keys.ready),
            steps.eq(Mux(moves, 0, Cat(busy, steps))),
        ]
        # Of these, no more than one is there at a time: they need only be added.
        key, key_aes256 = self.keys.payload.key, self.keys.payload.aes256
        goes_on = moves & ~last
        with m.If(taken | moves):
            m.d.sync += [
                current.eq(
                    Mux(taken, key[:128], 0)
                    | Mux(goes_on & aes256, following, 0)
                    | Mux(goes_on & ~aes256, computed, 0)
                ),
                following.eq(
                    Mux(taken & key_aes256, key[128:], 0) | Mux(goes_on & aes256, computed, 0)
                ),
            ]
        with m.If(taken):
            m.d.sync += [
                aes256.eq(key_aes256),
                round_constant.eq(1),
                number.eq(0),
                busy.eq(1),
            ]
        with m.If(moves):
            m.d.sync += number.eq(number + 1)
            with m.If(with_constant):
                m.d.sync += round_constant.eq(xtime(round_constant))
            with m.If(last):
                m.d.sync += busy.eq(0)
        return m

    def _substitute(self, m: Module, word: Value, begins: Value, waits: Value) -> Value:
        """SubWord (FIPS 197, 5.2) of ``word``, `_SUBSTITUTION_CYCLES` after it ``begins``."""
        m.submodules.sbox = box = PipelinedSBox(self._sbox)
        left, substituted = Signal(32), Signal(32)
        m.d.comb += box.input.eq(left[:8])
        m.d.sync += left.eq(Mux(begins, word, left >> 8))
        with m.If(~waits):
            m.d.sync += substituted.eq(Cat(substituted[8:], box.output))
        return substituted


def _add_words(words: Value, addend: Value) -> Value:
    """Each of four words added to the new word before it, the first one to ``addend``."""
    new_words = []
    for i in range(4):
        addend = addend ^ words.word_select(i, 32)
        new_words.append(addend)
    return Cat(new_words)
