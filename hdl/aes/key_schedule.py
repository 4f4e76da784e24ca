"""The key expansion of FIPS 197, 5.2, as a stream of round keys.

Each round key is four words of the expanded key, and in both key sizes exactly one of them, the
first, takes a substituted word: so four bytes through the S-box give a whole round key.
Each word is the sum of the one before, or of that substituted, and of the one 4 or 8 before.

    AES-128: round key r + 1 from round key r;       RotWord and Rcon each time
    AES-256: round key r + 2 from r and r + 1;       RotWord and Rcon for even r, else neither
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.aes.core import expand_key, rounds
from hdl.aes.sbox import PipelinedSBox, SBoxForm, xtime

__all__ = ["KeySchedule", "KeyWord", "RoundKey"]

#: A word of a key to expand: its byte n in bits 8n to 8n + 7.
KeyWord = data.StructLayout({"word": 32, "aes256": 1})

#: A round key (a block) and its number: 0, the whitening key, to 10 or 14.
RoundKey = data.StructLayout({"round": 4, "round_key": 128})

#: Four for the bytes of a word, one to choose it, two in the S-box.
_SUBSTITUTION_CYCLES = 7


class KeySchedule(wiring.Component):
    """Expands keys for encryption, with one S-box, word by word.

    ``keys`` takes the words of a key, 4 for AES-128 and 8 for AES-256; ``round_keys`` gives its
    round keys in order, one in 13 cycles: 11 for AES-128, 15 for AES-256. The next key begins 9
    cycles after the last of them, at the earliest: every 144 or 196 cycles. By then zeros stand
    where the key stood.
    """

    keys: In(stream.Signature(KeyWord))
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
        m.submodules.sbox = box = PipelinedSBox(self._sbox)
        words = Signal(256)  # the last eight, the newest uppermost
        word, substituted = Signal(32), Signal(32)
        aes256 = Signal()
        number, count = Signal(4), Signal(3)  # of the round key; in each state
        round_constant = Signal(8, init=1)
        taken = Signal()  # the words of this round key are the key's own
        with_constant = Signal()
        substitutes, adds, clears = Signal(), Signal(), Signal()
        # What is added in the cycle behind ``adds``: the first word of a round key, one of the
        # key's own. Zeros are, as such, while there is no key.
        moves, first, own, own_word = Signal(), Signal(), Signal(), Signal(32)
        newest, before = words[224:], Mux(aes256, words[:32], words[128:160])
        constant = Mux(with_constant, round_constant, 0)
        m.d.comb += [
            taken.eq((number == 0) | (aes256 & (number == 1))),
            # AES-256 leaves RotWord and Rcon out of every other round key.
            with_constant.eq(~aes256 | ~number[0]),
            word.eq(before ^ Mux(first, substituted ^ constant, newest)),
            self.round_keys.payload.round.eq(number),
            self.round_keys.payload.round_key.eq(words[128:]),
        ]
        m.d.sync += [
            box.input.eq(newest.word_select((count + with_constant)[:2], 8)),
            moves.eq(adds | clears),
            first.eq(count == 0),
            own.eq(taken | clears),
            own_word.eq(Mux(adds, self.keys.payload.word, 0)),
        ]
        with m.If(own):
            m.d.comb += word.eq(own_word)
        with m.If(self.keys.valid & self.keys.ready):
            m.d.sync += aes256.eq(self.keys.payload.aes256)
        with m.FSM():
            with m.State("substitute"):
                m.d.comb += [substitutes.eq(1), clears.eq(number == 0)]
                m.d.sync += count.eq(count + 1)
                # Of a key that was cleared in the first cycle, nothing is left in the S-box either.
                with m.If(count == Mux(clears, _SUBSTITUTION_CYCLES, _SUBSTITUTION_CYCLES - 1)):
                    m.d.sync += count.eq(0)
                    m.next = "add"
            with m.State("add"):
                m.d.comb += self.keys.ready.eq(taken)
                m.d.comb += adds.eq(~taken | self.keys.valid)
                with m.If(adds):
                    m.d.sync += count.eq(count + 1)
                    with m.If(count == 3):
                        m.d.sync += count.eq(0)
                        m.next = "added"
            with m.State("added"):
                m.next = "give"
            with m.State("give"):
                m.d.comb += self.round_keys.valid.eq(1)
                with m.If(self.round_keys.ready):
                    m.d.sync += number.eq(number + 1)
                    with m.If(with_constant & ~taken):
                        m.d.sync += round_constant.eq(xtime(round_constant))
                    with m.If(number == Mux(aes256, rounds(True), rounds(False))):
                        m.d.comb += clears.eq(1)
                        m.d.sync += [number.eq(0), round_constant.eq(1)]
                    m.next = "substitute"
        with m.If(substitutes):
            m.d.sync += substituted.eq(Cat(substituted[8:], box.output))
        with m.If(moves):
            m.d.sync += words.eq(Cat(words[32:], word))
        return m
