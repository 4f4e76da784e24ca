"""AES-GCM with 96-bit IVs and 128-bit tags (SP 800-38D, 7): gateware and model."""

import hmac

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.aes.core import encrypt_block, request_layout, rounds
from hdl.block import BLOCK_BYTES
from hdl.ghash import GHASH, ghash

__all__ = ["GCM", "TextBlock", "command_layout", "open_", "seal"]

TAG_BYTES = 16


def seal(key: bytes, nonce: bytes, plaintext: bytes, associated_data: bytes) -> bytes:
    """Model of authenticated encryption (SP 800-38D, 7.1): ciphertext and 16-byte tag.

    ``key`` has 16 or 32 bytes, ``nonce`` 12.
    """
    ciphertext = _apply_keystream(key, nonce, plaintext)
    return ciphertext + _tag(key, nonce, ciphertext, associated_data)


def open_(key: bytes, nonce: bytes, data: bytes, associated_data: bytes) -> bytes | None:
    """Model of authenticated decryption (SP 800-38D, 7.2): the plaintext, None if not genuine."""
    if len(data) < TAG_BYTES:
        return None
    ciphertext, tag = data[:-TAG_BYTES], data[-TAG_BYTES:]
    if not hmac.compare_digest(tag, _tag(key, nonce, ciphertext, associated_data)):
        return None
    return _apply_keystream(key, nonce, ciphertext)


def _apply_keystream(key: bytes, nonce: bytes, text: bytes) -> bytes:
    """GCTR from inc32(J0) (SP 800-38D, 6.5)."""
    counters = range(2, 2 + -(-len(text) // BLOCK_BYTES))
    keystream = b"".join(_encrypt_counter(key, nonce, counter) for counter in counters)
    return bytes(a ^ b for a, b in zip(text, keystream, strict=False))


def _tag(key: bytes, nonce: bytes, ciphertext: bytes, associated_data: bytes) -> bytes:
    h = encrypt_block(key, bytes(BLOCK_BYTES))
    lengths = (8 * len(part) for part in (associated_data, ciphertext))
    padded = _pad(associated_data) + _pad(ciphertext)
    digest = ghash(h, padded + b"".join(bits.to_bytes(8, "big") for bits in lengths))
    mask = _encrypt_counter(key, nonce, 1)
    return bytes(a ^ b for a, b in zip(digest, mask, strict=True))


def _encrypt_counter(key: bytes, nonce: bytes, counter: int) -> bytes:
    if len(nonce) != 12:
        raise ValueError(f"nonce has {len(nonce)} bytes, not 12")
    return encrypt_block(key, nonce + counter.to_bytes(4, "big"))


def _pad(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK_BYTES)


#: A block of text; from byte ``bytes`` on (1 to 16), it is zero.
TextBlock = data.StructLayout({"block": 128, "bytes": 5})


def command_layout(keys: int) -> data.StructLayout:
    """A message to seal, or to ``open``; byte n of the nonce in bits 8n to 8n + 7."""
    return data.StructLayout(
        {
            "key": range(keys),
            "aes256": 1,
            "open": 1,
            "nonce": 96,
            "associated_data_bytes": 16,
            "text_bytes": 16,
        }
    )


class GCM(wiring.Component):
    """Seals and opens messages with AES-GCM (SP 800-38D, 7.1 and 7.2), one at a time.

    The AES core stands outside, so that others may use it too: `aes_requests` and `aes_results`
    connect to the ports of an `AESCoreSignature` for as many ``keys``.

    Attributes
    ----------
    commands : In(stream of `command_layout`)
        A message begins. The lengths may be 0.
    h : In(128)
        The hash subkey of the command's key: the zero block, encrypted (a block). Stable from the
        cycle after the command is taken until the tag is.
    blocks : In(stream of 128)
        The associated data, then the text: plaintext, or ciphertext to ``open``. Each begins with a
        new block; bytes beyond the length are ignored.
    text : Out(stream of `TextBlock`)
        The other text, in the same cycle as the block of `blocks` that it comes from. To ``open``,
        that is before it is known to be genuine: keep it back until the tags are compared.
    tag : Out(stream of 128)
        The message's tag, after its last block of text. To ``open``, it is what the tag should be.

    With a ``digit`` of 8 coefficients a cycle, a block takes 16 cycles: GHASH's time, in which the
    core `IterativeAES` has the next keystream block ready. If nobody makes it wait, a message of a
    blocks of associated data and n of text has its tag valid 16 * (a + n + 1) + 2 cycles after its
    command was taken; for a = 0 and n > 0 the first keystream block adds 12 (AES-128) or 16 cycles
    (AES-256). The next command is taken in the cycle after the tag. `latency` gives the cycles for
    every digit. Time depends on lengths, key size and handshakes, never on data.

    """

    def __init__(self, keys: int, digit: int = 8):
        self._digit = digit
        super().__init__(
            {
                "commands": In(stream.Signature(command_layout(keys))),
                "h": In(128),
                "blocks": In(stream.Signature(128)),
                "text": Out(stream.Signature(TextBlock)),
                "tag": Out(stream.Signature(128)),
                "aes_requests": Out(stream.Signature(request_layout(keys))),
                "aes_results": In(stream.Signature(128)),
            }
        )

    @staticmethod
    def latency(associated_data_bytes: int, text_bytes: int, aes256: bool, digit: int = 8) -> int:
        """Cycles from taking a command to its valid tag, with the core `IterativeAES`."""
        hash_cycles, cipher_cycles = 128 // digit, rounds(aes256) + 1
        associated_blocks, text_blocks = _blocks(associated_data_bytes), _blocks(text_bytes)
        lengths_taken = 1 + hash_cycles * associated_blocks
        counter_1_encrypted = 2 + cipher_cycles
        if text_blocks:
            first_text = max(lengths_taken, 2 + cipher_cycles)
            last_text = first_text + (text_blocks - 1) * max(hash_cycles, cipher_cycles)
            lengths_taken = last_text + hash_cycles
            counter_1_encrypted = last_text + cipher_cycles
        return max(lengths_taken + hash_cycles + 1, counter_1_encrypted)

    def elaborate(self, platform):
        m = Module()
        m.submodules.ghash = ghash_ = GHASH(self._digit)

        command = Signal.like(self.commands.payload)
        bytes_left = Signal(16)  # of the associated data or of the text
        last = Signal()
        m.d.comb += [ghash_.h.eq(self.h), last.eq(bytes_left <= BLOCK_BYTES)]
        self._request_keystream(m, command)

        block_bytes = Signal(5)  # of them, those in the next block
        mask = Signal(128)
        block = Signal(128)
        other_text = Signal(128)
        m.d.comb += [
            block_bytes.eq(Mux(last, bytes_left, BLOCK_BYTES)),
            mask.eq(Cat(Mux(block_bytes > i, 0xFF, Const(0, 8)) for i in range(BLOCK_BYTES))),
            block.eq(self.blocks.payload & mask),
            other_text.eq(block ^ self.aes_results.payload & mask),
            self.text.payload.block.eq(other_text),
            self.text.payload.bytes.eq(block_bytes),
            self.tag.payload.eq(ghash_.digest ^ self.aes_results.payload),
        ]

        with m.FSM():
            with m.State("Idle"):
                new = self.commands.payload
                m.d.comb += self.commands.ready.eq(1)
                with m.If(self.commands.valid):
                    m.d.comb += ghash_.clear.eq(1)
                    m.d.sync += [command.eq(new), bytes_left.eq(new.text_bytes)]
                    m.next = "Text"
                    with m.If(new.text_bytes == 0):
                        m.next = "Lengths"
                    with m.If(new.associated_data_bytes != 0):
                        m.d.sync += bytes_left.eq(new.associated_data_bytes)
                        m.next = "Associated data"

            with m.State("Associated data"):
                m.d.comb += [
                    ghash_.blocks.payload.eq(block),
                    ghash_.blocks.valid.eq(self.blocks.valid),
                    self.blocks.ready.eq(ghash_.blocks.ready),
                ]
                with m.If(self.blocks.valid & self.blocks.ready):
                    m.d.sync += bytes_left.eq(Mux(last, command.text_bytes, bytes_left - 16))
                    with m.If(last):
                        m.next = "Text"
                        with m.If(command.text_bytes == 0):
                            m.next = "Lengths"

            with m.State("Text"):
                # Block, keystream, GHASH and receiver move in the same cycle, or none of them.
                moves = Signal()
                m.d.comb += [
                    self.text.valid.eq(
                        self.blocks.valid & self.aes_results.valid & ghash_.blocks.ready
                    ),
                    moves.eq(self.text.valid & self.text.ready),
                    ghash_.blocks.payload.eq(Mux(command.open, block, other_text)),
                    ghash_.blocks.valid.eq(moves),
                    self.blocks.ready.eq(moves),
                    self.aes_results.ready.eq(moves),
                ]
                with m.If(moves):
                    m.d.sync += bytes_left.eq(bytes_left - 16)
                    with m.If(last):
                        m.next = "Lengths"

            with m.State("Lengths"):
                m.d.comb += [
                    ghash_.blocks.payload.eq(_lengths_block(command)),
                    ghash_.blocks.valid.eq(1),
                ]
                with m.If(ghash_.blocks.ready):
                    m.next = "Tag"

            with m.State("Tag"):
                m.d.comb += [
                    self.tag.valid.eq(self.aes_results.valid & ghash_.idle),
                    self.aes_results.ready.eq(self.tag.ready & ghash_.idle),
                ]
                with m.If(self.tag.valid & self.tag.ready):
                    m.next = "Idle"
        return m

    def _request_keystream(self, m: Module, command: Value) -> None:
        """Have the counter blocks encrypted: 2 and on for the text, then 1 for the tag.

        The core works ahead by one block; so the last result waits in the core for the hash.
        """
        counter = Signal(range(2, 2 + _blocks(0xFFFF) + 1))
        blocks_left = Signal.like(counter)
        requesting = Signal()
        number = Signal.like(counter)
        m.d.comb += [
            number.eq(Mux(blocks_left == 0, 1, counter)),
            self.aes_requests.valid.eq(requesting),
            self.aes_requests.payload.block.eq(Cat(command.nonce, _big_endian(number, 4))),
            self.aes_requests.payload.key.eq(command.key),
            self.aes_requests.payload.aes256.eq(command.aes256),
        ]
        with m.If(self.aes_requests.valid & self.aes_requests.ready):
            m.d.sync += [
                requesting.eq(blocks_left != 0),
                blocks_left.eq(blocks_left - 1),
                counter.eq(counter + 1),
            ]
        with m.If(self.commands.valid & self.commands.ready):
            m.d.sync += [
                requesting.eq(1),
                blocks_left.eq(_blocks(self.commands.payload.text_bytes)),
                counter.eq(2),
            ]


def _blocks(length):
    """The blocks that ``length`` bytes take, as a number or as gates."""
    return (length + BLOCK_BYTES - 1) >> 4


def _big_endian(value: Value, length: int) -> Value:
    """``value`` in ``length`` bytes, the most significant one first on the wire."""
    padded = Cat(value, Const(0, 8 * length - len(value)))
    return Cat(padded.word_select(i, 8) for i in reversed(range(length)))


def _lengths_block(command: Value) -> Value:
    """The last block of GHASH's input: both lengths in bits, 64 bits each (SP 800-38D, 7.1)."""
    lengths = (command.associated_data_bytes, command.text_bytes)
    return Cat(_big_endian(Cat(Const(0, 3), length), 8) for length in lengths)
