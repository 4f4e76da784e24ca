"""AES-GCM with 96-bit IVs and 128-bit tags (SP 800-38D, 7): gateware and model."""

import hmac

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.aes.core import encrypt_block, request_layout
from hdl.block import BLOCK_BYTES
from hdl.ghash import GHASH, ghash

__all__ = ["GCM", "command_layout", "open_", "seal"]

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


def command_layout(keys: int, length_bits: int = 16) -> data.StructLayout:
    """A message to seal, or to ``open``; byte n of the nonce in bits 8n to 8n + 7."""
    return data.StructLayout(
        {
            "key": range(keys),
            "aes256": 1,
            "open": 1,
            "nonce": 96,
            "associated_data_bytes": length_bits,
            "text_bytes": length_bits,
        }
    )


class GCM(wiring.Component):
    """Seals and opens messages with AES-GCM (SP 800-38D, 7.1 and 7.2), one at a time, by bytes.

    The AES core stands outside, so that others may use it too: `aes_requests` and `aes_results`
    connect to the ports of an `AESCoreSignature` for as many ``keys``. Lengths have ``length_bits``
    bits. Others may use the core before `start` and after `done`.

    Attributes
    ----------
    start : In(1)
        A message begins. Only before the first one, and from `done` on.
    command : In(`command_layout`)
        What it is. The lengths may be 0. Stable from `start` to `done`.
    h : In(128)
        The hash subkey of the command's key: the zero block, encrypted (a block). Stable from
        `start` to `done`.
    bytes : In(stream of 8)
        The associated data, then the text: plaintext, or ciphertext and tag to ``open``.
    text : Out(stream of 8)
        The other text and, to seal, the tag. A byte of text comes in the same cycle as the one of
        `bytes` that it comes from. To ``open``, that is before it is known to be genuine: keep it
        back until `done`.
    done : Out(1)
        High for one cycle: the message has ended, with the last byte of its tag.
    genuine : Out(1)
        To ``open``: the tag is the right one. From the cycle after `done` to the next `start`.

    GHASH takes a byte in 8 / ``digit`` cycles, and every section is filled up to whole blocks. The
    core works a block ahead of that. Time depends on lengths, key size and handshakes, never on
    data.

    """

    def __init__(self, keys: int, digit: int = 8, length_bits: int = 16):
        self._digit = digit
        self._length_bits = length_bits
        super().__init__(
            {
                "start": In(1),
                "command": In(command_layout(keys, length_bits)),
                "h": In(128),
                "bytes": In(stream.Signature(8)),
                "text": Out(stream.Signature(8, always_ready=True)),
                "done": Out(1),
                "genuine": Out(1),
                "aes_requests": Out(stream.Signature(request_layout(keys))),
                "aes_results": In(stream.Signature(128)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.ghash = ghash_ = GHASH(self._digit)
        self._request_keystream(m)

        command, hashed = self.command, ghash_.bytes
        bytes_left = Signal(self._length_bits)  # of the associated data or of the text
        position = Signal(4)  # of the next byte in its block
        keystream = Signal(128)
        keystream_valid = Signal()
        used_up = Signal()  # the last byte of a block of keystream goes
        moves = Signal()
        tag_moves = Signal()
        compared = Signal()  # a byte of the tag was taken in the cycle before
        different = Signal()
        m.d.comb += [
            ghash_.h.eq(self.h),
            moves.eq(hashed.valid & hashed.ready),
            self.aes_results.ready.eq(~keystream_valid | used_up),
            self.genuine.eq(~different),
        ]
        with m.If(moves):
            m.d.sync += position.eq(position + 1)

        with m.FSM():
            with m.State("Idle"):
                m.d.comb += [ghash_.clear.eq(1), ghash_.start.eq(self.start)]
                m.d.sync += [bytes_left.eq(command.associated_data_bytes), position.eq(0)]
                with m.If(self.start):
                    m.d.sync += different.eq(0)
                    m.next = "Associated data"

            with m.State("Associated data"):
                with m.If(bytes_left != 0):
                    m.d.comb += [
                        hashed.payload.eq(self.bytes.payload),
                        hashed.valid.eq(self.bytes.valid),
                        self.bytes.ready.eq(hashed.ready),
                    ]
                    with m.If(moves):
                        m.d.sync += bytes_left.eq(bytes_left - 1)
                with m.Else():
                    # Zeros fill the block.
                    m.d.comb += hashed.valid.eq(position != 0)
                    with m.If(position == 0):
                        m.d.sync += bytes_left.eq(command.text_bytes)
                        m.next = "Text"

            with m.State("Text"):
                other_text = self.bytes.payload ^ keystream[:8]
                m.d.comb += self.text.payload.eq(other_text)
                with m.If(bytes_left != 0):
                    m.d.comb += [
                        hashed.payload.eq(Mux(command.open, self.bytes.payload, other_text)),
                        hashed.valid.eq(self.bytes.valid & keystream_valid),
                        self.bytes.ready.eq(hashed.ready & keystream_valid),
                        self.text.valid.eq(moves),
                    ]
                    with m.If(moves):
                        m.d.sync += bytes_left.eq(bytes_left - 1)
                with m.Else():
                    m.d.comb += hashed.valid.eq(position != 0)
                    with m.If(position == 0):
                        m.next = "Lengths"
                m.d.comb += used_up.eq(moves & (position == 15))
                with m.If(moves):
                    m.d.sync += keystream.eq(keystream >> 8)

            with m.State("Lengths"):
                m.d.comb += [
                    hashed.payload.eq(_lengths_block(command).word_select(position, 8)),
                    hashed.valid.eq(1),
                ]
                with m.If(moves & (position == 15)):
                    m.next = "Tag"

            with m.State("Tag"):
                # The received tag goes where zeros would bring the digest out.
                m.d.comb += [
                    hashed.payload.eq(Mux(command.open, self.bytes.payload, 0)),
                    hashed.valid.eq(keystream_valid & (self.bytes.valid | ~command.open)),
                    self.bytes.ready.eq(command.open & keystream_valid & hashed.ready),
                    tag_moves.eq(moves),
                ]
                with m.If(moves & (position == 15)):
                    m.next = "Last"

            with m.State("Last"):
                m.d.comb += [self.done.eq(1), used_up.eq(1)]
                m.next = "Idle"

        tag_byte = ghash_.sum ^ keystream[:8]
        m.d.sync += compared.eq(tag_moves)
        with m.If(compared):
            m.d.sync += keystream.eq(keystream >> 8)
            m.d.comb += [self.text.payload.eq(tag_byte), self.text.valid.eq(~command.open)]
            with m.If(tag_byte != 0):
                m.d.sync += different.eq(1)

        with m.If(used_up):
            m.d.sync += keystream_valid.eq(0)
        with m.If(self.aes_results.valid & self.aes_results.ready):
            m.d.sync += [keystream.eq(self.aes_results.payload), keystream_valid.eq(1)]
        return m

    def _request_keystream(self, m: Module) -> None:
        """Have the counter blocks encrypted: 2 and on for the text, then 1 for the tag."""
        command = self.command
        blocks = Signal(self._length_bits - 3)
        counter = Signal(self._length_bits - 2)
        requesting = Signal()
        number = Signal.like(counter)
        at_end = Signal()
        m.d.comb += [
            blocks.eq(_blocks(command.text_bytes)),
            at_end.eq(counter == blocks + 2),
            number.eq(Mux(at_end, 1, counter)),
            self.aes_requests.valid.eq(requesting),
            self.aes_requests.payload.block.eq(Cat(command.nonce, _big_endian(number, 4))),
            self.aes_requests.payload.key.eq(command.key),
            self.aes_requests.payload.aes256.eq(command.aes256),
        ]
        with m.If(self.aes_requests.valid & self.aes_requests.ready):
            m.d.sync += [requesting.eq(~at_end), counter.eq(counter + 1)]
        with m.If(self.start):
            m.d.sync += [requesting.eq(1), counter.eq(2)]


def _blocks(length: Value) -> Value:
    """The blocks that ``length`` bytes take."""
    return (length + BLOCK_BYTES - 1) >> 4


def _big_endian(value: Value, length: int) -> Value:
    """``value`` in ``length`` bytes, the most significant one first on the wire."""
    padded = Cat(value, Const(0, 8 * length - len(value)))
    return Cat(padded.word_select(i, 8) for i in reversed(range(length)))


def _lengths_block(command: Value) -> Value:
    """The last block of GHASH's input: both lengths in bits, 64 bits each (SP 800-38D, 7.1)."""
    lengths = (command.associated_data_bytes, command.text_bytes)
    return Cat(_big_endian(Cat(Const(0, 3), length), 8) for length in lengths)
