"""The record engine: SEAL and OPEN whole DTLS 1.3 records, AEAD_SEAL and AEAD_OPEN any message.

One message at a time, byte by byte. What comes out of AES-GCM is written into the release buffer,
behind the place of the completion's header::

    payload --+--> header parser (OPEN)      header builder --+
              |                                               v
              +--> sample, 16 bytes (OPEN) ----------------> GCM --> message output
              |                                               ^            |
              +-----------------------------------------------+     release buffer

Both directions of record-number encryption (RFC 9147, 4.2.3) need the first 16 bytes of the
encrypted record. Sealing has them when they have been written, and patches the header at the end.
Opening takes them from the payload before anything else, finds the number, and then feeds them to
GCM ahead of the rest.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from driver.messages import (
    AEAD_PREFIX_BYTES,
    HEADER_BYTES,
    IV_BYTES,
    RECORD_NUMBER_BYTES,
    TAG_BYTES,
    Opcode,
    Status,
    Usage,
)
from hdl.aes.core import request_layout
from hdl.gcm import GCM
from hdl.header import FIXED_BITS, Flags, HeaderBuilder, HeaderParser
from hdl.message_output import SAMPLE_BYTES, MessageOutput
from hdl.profile import Profile
from hdl.record_number import REACH_BITS, Reconstruction, nonce
from hdl.replay import ReplayWindow
from hdl.slots import WORDS_PER_SLOT, StateFields, context_layout, state_layout
from hdl.unit import UnitSignature

__all__ = ["RecordEngine"]


class RecordEngine(wiring.Component):
    """The unit behind SEAL, OPEN, AEAD_SEAL and AEAD_OPEN.

    A message takes as many cycles as AES for its blocks, and a number more that depends on opcode,
    header form and key size only. A refusal after authentication takes as long as a success.
    ``context`` and ``state`` are those of the request's slot, from ``start`` until after
    ``finished``; but in the cycle after one with ``hash_row``, ``h`` is there instead of the state.
    ``string`` is the byte of the slot's strings, IV and connection ID, that ``string_index`` asked
    for in the cycle before.

    Opening deprotects first and consults the replay window after (RFC 9147, 4.5.1): a record is
    `Status.BAD_TAG` before it is anything else, and how long a refusal takes tells nothing of the
    record's number.
    """

    def __init__(self, profile: Profile):
        self._profile = profile
        super().__init__(
            {
                "unit": In(UnitSignature()),
                "aes_requests": Out(stream.Signature(request_layout(2 * profile.slots))),
                "aes_results": In(stream.Signature(128)),
                "context": In(context_layout()),
                "state": In(state_layout(profile)),
                "h": In(128),
                "hash_row": Out(1),
                "string_index": Out(range(WORDS_PER_SLOT)),
                "string": In(8),
                "write_state": Out(StateFields),
                "new_state": Out(state_layout(profile)),
            }
        )
        length_bits = profile.largest_completion.bit_length()
        self._gcm = GCM(2 * profile.slots, profile.ghash_digit, length_bits)
        self._parser = HeaderParser()
        self._builder = HeaderBuilder()
        self._output = MessageOutput(length_bits)
        self._reconstruction = Reconstruction()
        self._window = ReplayWindow(profile.window, REACH_BITS)

        # What the message is: constant while it runs.
        self._is_seal = Signal()
        self._is_open = Signal()
        self._is_record = Signal()
        self._sealing = Signal()
        self._header_bytes = Signal(6)
        self._text_bytes = Signal(length_bits)
        self._too_short = Signal()  # AEAD messages: for what their prefix says
        # What is found out on the way.
        self._flags = Signal(Flags)  # the header's first byte
        self._wire = Signal(16)  # the header's number: in clear, or encrypted once sealed
        self._number = Signal(48)
        self._sample = Signal(8 * SAMPLE_BYTES)
        self._sampled = Signal(range(SAMPLE_BYTES + 1))
        # AEAD messages: what their prefix says, but for the nonce.
        self._associated_bytes = Signal(16)
        self._reserved_used = Signal()
        self._nonce = Signal(8 * IV_BYTES)
        self._iv_index = Signal(range(IV_BYTES + 1), init=IV_BYTES)  # of the byte to ask for
        self._iv_byte = Signal()  # it comes now
        self._begin_iv = Signal()
        self._nonce_byte = Signal()  # one of an AEAD message's prefix
        self._written = Signal(6)  # bytes of a field that are written
        self._settled = Signal()  # the message's last byte is written, and its tag compared
        self._masks = Signal()  # the AES core is lent to record-number encryption

    def elaborate(self, platform):
        m = Module()
        m.submodules.gcm = self._gcm
        m.submodules.parser = self._parser
        m.submodules.builder = self._builder
        m.submodules.output = self._output
        m.submodules.reconstruction = self._reconstruction
        m.submodules.window = self._window

        self._describe(m)
        self._connect(m)
        self._read_strings(m)
        self._keep(m)
        with m.FSM():
            self._admission(m)
            self._reading_of_header(m)
            self._feeding(m)
            self._masking(m)
            self._ending(m)
        return m

    def _describe(self, m):
        """What kind of message this is, and the lengths of its parts in bytes."""
        request, flags, unit = self.unit.request, self._flags, self.unit
        header, associated = self._header_bytes, self._associated_bytes
        others = Signal(17)  # bytes of the payload that are no text
        added = Signal(6)  # bytes of the completion that are no text
        text = Signal(18)
        m.d.comb += [
            self._is_seal.eq(request.opcode == Opcode.SEAL),
            self._is_open.eq(request.opcode == Opcode.OPEN),
            self._is_record.eq(self._is_seal | self._is_open),
            self._sealing.eq(self._is_seal | (request.opcode == Opcode.AEAD_SEAL)),
            # First byte and low byte of the number; connection ID, high byte, length, if any.
            header.eq(
                2
                + self.context.connection_id_bytes
                + flags.sequence_number_16
                + (flags.length << 1)
            ),
            text.eq(request.length - others),
            self._text_bytes.eq(text),
            self._too_short.eq(text[-1]),
            unit.amount.eq(self._text_bytes),
            unit.length.eq(
                added + Mux(self._is_open, self._output.content_bytes, self._text_bytes)
            ),
        ]
        with m.Switch(request.opcode):
            with m.Case(Opcode.SEAL):
                m.d.comb += added.eq(header + TAG_BYTES)
            with m.Case(Opcode.OPEN):
                m.d.comb += [others.eq(header + TAG_BYTES), added.eq(RECORD_NUMBER_BYTES)]
            with m.Case(Opcode.AEAD_SEAL):
                m.d.comb += [others.eq(associated + AEAD_PREFIX_BYTES), added.eq(TAG_BYTES)]
            with m.Case(Opcode.AEAD_OPEN):
                m.d.comb += others.eq(associated + AEAD_PREFIX_BYTES + TAG_BYTES)

    def _connect(self, m):
        """Wires between the parts that no state changes."""
        context, state, gcm = self.context, self.state, self._gcm
        command, output, slot = gcm.command, self._output, self.unit.request.slot
        m.d.comb += [
            command.key.eq(slot << 1),
            command.aes256.eq(context.aes256),
            command.open.eq(~self._sealing),
            command.associated_data_bytes.eq(
                Mux(self._is_record, self._header_bytes, self._associated_bytes)
            ),
            command.text_bytes.eq(self._text_bytes),
            command.nonce.eq(self._nonce),
            gcm.h.eq(self.h),
            self.unit.write.eq(output.write),
            output.address.eq(
                HEADER_BYTES
                + Mux(self._is_seal, self._header_bytes, 0)
                + Mux(self._is_open, RECORD_NUMBER_BYTES, 0)
            ),
            self._parser.connection_id_byte.eq(self.string),
            self._parser.connection_id_bytes.eq(context.connection_id_bytes),
            self._parser.remaining.eq(self.unit.request.length),
            self._builder.connection_id_byte.eq(self.string),
            self._builder.connection_id_bytes.eq(context.connection_id_bytes),
            self._builder.flags.eq(self._flags),
            self._builder.wire.eq(self._wire),
            self._builder.length.eq(self._text_bytes + TAG_BYTES),
            self._reconstruction.wire.eq(self._wire),
            self._reconstruction.sixteen.eq(self._flags.sequence_number_16),
            self._reconstruction.next.eq(state.next),
            self._window.number.eq(self._number),
            self._window.next.eq(state.next),
            self._window.seen.eq(state.seen),
        ]
        wiring.connect(m, gcm.text, output.text)
        with m.If(gcm.done):
            m.d.sync += self._settled.eq(1)
        with m.If(self._is_seal & output.sampled):
            m.d.sync += self._sample.eq(Cat(self._sample[8:], output.text.payload))

        # The core serves GCM, but for the one block that masks the record number. GCM has nothing
        # in flight then: it has not begun (opening) or has given its tag (sealing).
        requests, results = self.aes_requests, self.aes_results
        with m.If(self._masks):
            m.d.comb += [
                requests.payload.block.eq(self._sample),
                requests.payload.key.eq(Cat(1, slot)),
                requests.payload.aes256.eq(context.aes256),
            ]
        with m.Else():
            m.d.comb += [
                requests.payload.eq(gcm.aes_requests.payload),
                requests.valid.eq(gcm.aes_requests.valid),
                gcm.aes_requests.ready.eq(requests.ready),
                gcm.aes_results.valid.eq(results.valid),
                results.ready.eq(gcm.aes_results.ready),
            ]
        m.d.comb += gcm.aes_results.payload.eq(results.payload)

    def _read_strings(self, m):
        """The IV goes where the nonce will stand; the connection ID is the header's."""
        m.d.sync += self._iv_byte.eq(0)
        m.d.comb += self.string_index.eq(self._iv_index)
        with m.If(self._iv_index == IV_BYTES):
            parsing = self._parser.parsing
            index = Mux(parsing, self._parser.index, self._builder.index)
            m.d.comb += self.string_index.eq(IV_BYTES + index)
        with m.Else():
            m.d.sync += [self._iv_index.eq(self._iv_index + 1), self._iv_byte.eq(1)]
        with m.If(self._begin_iv):
            m.d.sync += self._iv_index.eq(0)
        with m.If(self._iv_byte | self._nonce_byte):
            byte = Mux(self._iv_byte, self.string, self.unit.payload.payload)
            m.d.sync += self._nonce.eq(Cat(self._nonce[8:], byte))

    def _keep(self, m):
        """The second phase: what a message moves in its slot, if its packet was well-formed."""
        unit, window = self.unit, self._window
        accepted = (unit.status == Status.OK) | (unit.status == Status.NO_CONTENT_TYPE)
        kept = Signal()
        m.d.comb += [
            unit.finished.eq(unit.finish),
            kept.eq(unit.finish & unit.keep),
            self.new_state.next.eq(self._number + 1),
            self.new_state.seen.eq(window.seen_after),
            self.new_state.count.eq(self.state.count[:37] + 1),
        ]
        with m.If(kept & self._is_seal & accepted):
            m.d.comb += [self.write_state.next.eq(~0), self.write_state.count.eq(1)]
        with m.If(kept & self._is_open & accepted):
            ahead = ~window.behind
            m.d.comb += [self.write_state.next.eq(ahead.replicate(7)), self.write_state.seen.eq(1)]
        with m.If(kept & self._is_open & (unit.status == Status.BAD_TAG)):
            m.d.comb += self.write_state.count.eq(1)

    def _refuse(self, m, status):
        m.d.sync += self.unit.status.eq(status)
        m.next = "done"

    def _admission(self, m):
        """Whether the slot may do this at all."""
        unit, context, state = self.unit, self.context, self.state
        with m.State("idle"):
            m.d.sync += [self._sampled.eq(0), self._reserved_used.eq(0)]
            with m.If(unit.start):
                m.d.sync += unit.status.eq(Status.OK)
                m.next = "admit"
                with m.If(~self._is_record):
                    m.next = "prefix"
        with m.State("prefix"):
            m.d.comb += unit.payload.ready.eq(1)
            with m.If(unit.payload.valid):
                m.d.sync += self._sampled.eq(self._sampled + 1)
                byte = unit.payload.payload
                with m.If(self._sampled < 2):
                    m.d.sync += self._associated_bytes.eq(Cat(byte, self._associated_bytes[:8]))
                with m.Elif(self._sampled < AEAD_PREFIX_BYTES - IV_BYTES):
                    with m.If(byte != 0):
                        m.d.sync += self._reserved_used.eq(1)
                with m.Else():
                    m.d.comb += self._nonce_byte.eq(1)
                with m.If(self._sampled == AEAD_PREFIX_BYTES - 1):
                    m.d.sync += self._sampled.eq(0)
                    m.next = "admit"
        with m.State("admit"):
            # SEAL uses all of these; OPEN finds its own.
            m.d.sync += [
                self._wire.eq(state.next),
                self._flags.eq(context.form),
                self._flags.epoch.eq(context.epoch),
                self._flags.connection_id.eq(context.connection_id_bytes != 0),
                self._flags.fixed.eq(FIXED_BITS),
            ]
            usage = Mux(self._is_seal, Usage.SEAL, Mux(self._is_open, Usage.OPEN, Usage.AEAD))
            m.d.comb += self._begin_iv.eq(self._is_seal)
            with m.If(~self._is_record & (self._too_short | self._reserved_used)):
                self._refuse(m, Status.MALFORMED_REQUEST)
            with m.Elif(~context.valid):
                self._refuse(m, Status.SLOT_EMPTY)
            with m.Elif(context.usage != usage):
                self._refuse(m, Status.WRONG_USAGE)
            with m.Elif(self._exhausted()):
                self._refuse(m, Status.KEY_LIMIT)
            with m.Elif(self._is_open):
                m.d.comb += self._parser.start.eq(1)
                m.next = "parse"
            with m.Elif(self._is_seal):
                m.next = "number"
            with m.Else():
                m.next = "nonce"

    def _exhausted(self):
        """The key is at a limit of RFC 9147, 4.5.3, or has no number left to seal with."""
        count, following, profile = self.state.count, self.state.next, self._profile
        at_seal_limit = _has_met(count, profile.seal_limit) | following[:48].all() | following[48]
        at_open_limit = _has_met(count, profile.forgery_limit)
        return (self._is_seal & at_seal_limit) | (self._is_open & at_open_limit)

    def _take_sample(self, m, then):
        payload = self.unit.payload
        m.d.comb += payload.ready.eq(1)
        with m.If(payload.valid):
            m.d.sync += [
                self._sample.eq(Cat(self._sample[8:], payload.payload)),
                self._sampled.eq(self._sampled + 1),
            ]
            with m.If(self._sampled == SAMPLE_BYTES - 1):
                m.next = then

    def _reading_of_header(self, m):
        """OPEN only: from the first byte to the 16 that make the mask."""
        parser, payload = self._parser, self.unit.payload
        with m.State("parse"):
            m.d.comb += [
                parser.bytes.valid.eq(payload.valid),
                parser.bytes.payload.eq(payload.payload),
                payload.ready.eq(parser.bytes.ready),
            ]
            with m.If(parser.done):
                m.d.sync += [self._flags.eq(parser.flags), self._wire.eq(parser.wire)]
                encrypted_bytes = self.unit.request.length - parser.size
                longest = self._profile.largest_seal + TAG_BYTES
                with m.If(parser.malformed | (encrypted_bytes > longest)):
                    self._refuse(m, Status.MALFORMED_RECORD)
                with m.Elif(parser.flags[:2] != self.context.epoch[:2]):
                    self._refuse(m, Status.WRONG_EPOCH)
                with m.Else():
                    m.d.comb += self._begin_iv.eq(1)
                    m.next = "sample"
        with m.State("sample"):
            self._take_sample(m, then="mask")

    def _masking(self, m):
        """The record number is encrypted, or decrypted (RFC 9147, 4.2.3)."""
        requests, results = self.aes_requests, self.aes_results
        sixteen = self._flags.sequence_number_16
        # The mask's leading byte meets the number's leading byte on the wire.
        first, second = results.payload[:8], results.payload[8:16]
        mask = Mux(sixteen, Cat(second, first), first)
        with m.State("mask"):
            m.d.comb += [self._masks.eq(1), requests.valid.eq(1)]
            with m.If(requests.ready):
                m.next = "unmask"
        with m.State("unmask"):
            m.d.comb += [self._masks.eq(1), results.ready.eq(1)]
            with m.If(results.valid):
                m.d.sync += self._wire.eq(self._wire ^ mask)
                with m.If(self._is_seal):
                    m.next = "patch"
                with m.Else():
                    m.next = "number"
        with m.State("number"):
            # Sealing, it is the next one.
            m.d.sync += self._number.eq(self._reconstruction.number)
            m.next = "nonce"
        with m.State("patch"):
            # Over the number in the sealed header, high byte first if it has two.
            number_at = HEADER_BYTES + 1 + self.context.connection_id_bytes
            last = self._written == sixteen
            self._write(m, number_at + self._written, Mux(last, self._wire[:8], self._wire[8:]))
            m.d.sync += self._written.eq(self._written + 1)
            with m.If(last):
                m.next = "done"

    def _write(self, m, address, byte):
        m.d.comb += [
            self.unit.write.enable.eq(1),
            self.unit.write.address.eq(address),
            self.unit.write.data.eq(byte),
        ]

    def _feeding(self, m):
        """GCM gets its command, and all bytes of the message."""
        gcm, builder = self._gcm, self._builder
        with m.State("nonce"):
            with m.If((self._iv_index == IV_BYTES) & ~self._iv_byte):
                with m.If(self._is_record):
                    m.d.sync += self._nonce.eq(nonce(self._nonce, self._number))
                m.d.comb += [self.hash_row.eq(1), self._window.start.eq(1)]
                m.next = "command"
        with m.State("command"):
            m.d.comb += [
                self.hash_row.eq(1),
                gcm.start.eq(1),
                self._output.start.eq(1),
                builder.start.eq(self._is_record),
            ]
            m.d.sync += [self._written.eq(0), self._settled.eq(0)]
            m.next = "feed"
            with m.If(self._is_record):
                m.next = "header"
        with m.State("header"):
            m.d.comb += [
                self.hash_row.eq(1),
                gcm.bytes.valid.eq(builder.bytes.valid),
                gcm.bytes.payload.eq(builder.bytes.payload.data),
                builder.bytes.ready.eq(gcm.bytes.ready),
            ]
            with m.If(builder.bytes.valid & builder.bytes.ready):
                with m.If(self._is_seal):
                    self._write(m, HEADER_BYTES + self._written, builder.bytes.payload.data)
                m.d.sync += self._written.eq(self._written + 1)
                with m.If(builder.bytes.payload.last):
                    m.next = "feed"
        with m.State("feed"):
            # The sample while it lasts (OPEN), then the payload, as long as GCM takes bytes.
            payload, from_sample = self.unit.payload, self._sampled != 0
            m.d.comb += [
                self.hash_row.eq(~self._settled),
                gcm.bytes.valid.eq(payload.valid | from_sample),
                gcm.bytes.payload.eq(Mux(from_sample, self._sample[:8], payload.payload)),
                payload.ready.eq(gcm.bytes.ready & ~from_sample),
            ]
            with m.If(from_sample & gcm.bytes.ready):
                m.d.sync += [
                    self._sample.eq(self._sample >> 8),
                    self._sampled.eq(self._sampled - 1),
                ]
            m.d.sync += self._written.eq(0)
            with m.If(self._settled & ~self._window.busy):
                m.next = "verdict"

    def _ending(self, m):
        """The verdict, and what follows the text."""
        output, window, unit = self._output, self._window, self.unit
        with m.State("verdict"):
            m.next = "done"
            with m.If(self._is_seal):
                m.next = "mask"
            with m.If(self._is_open):
                m.next = "record number"
            with m.If(~self._sealing & ~self._gcm.genuine):
                m.d.sync += unit.status.eq(Status.BAD_TAG)
            with m.Elif(self._is_open & window.too_old):
                m.d.sync += unit.status.eq(Status.TOO_OLD)
            with m.Elif(self._is_open & window.replayed):
                m.d.sync += unit.status.eq(Status.REPLAYED)
            with m.Elif(self._is_open & (output.content_bytes == 0)):
                m.d.sync += unit.status.eq(Status.NO_CONTENT_TYPE)
        with m.State("record number"):
            # Epoch and sequence number, big-endian, ahead of the content.
            number = Cat(self._number, self.context.epoch)
            last = RECORD_NUMBER_BYTES - 1
            self._write(m, HEADER_BYTES + self._written, number.word_select(~self._written[:3], 8))
            m.d.sync += self._written.eq(self._written + 1)
            with m.If(self._written == last):
                m.next = "done"
        with m.State("done"):
            m.d.comb += unit.done.eq(1)
            m.next = "idle"


def _has_met(count, limit: int):
    """Whether a count that goes up by one and stops at ``limit`` is there.

    No smaller number has all the ones of ``limit``, so that its zeros need not be looked at.
    """
    return Cat(count[bit] for bit in range(limit.bit_length()) if limit >> bit & 1).all()
