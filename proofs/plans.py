"""What holds between a request's plan, and the length that its header says."""

from amaranth.hdl import Cat, Mux, Value

from driver.messages import AEAD_PREFIX_BYTES, LOAD_BYTES, TAG_BYTES, Opcode, Status
from hdl.block import BLOCK_BYTES
from hdl.pipeline.plan import one_piece, pieces
from hdl.profile import Profile

__all__ = ["beats", "is_consistent", "largest"]


def beats(length: Value) -> Value:
    """Beats of a payload, one at least."""
    return Mux(length == 0, 1, (length + BLOCK_BYTES - 1) >> 4)


def largest(profile: Profile) -> int:
    """The longest payload of a message that is not refused for its length."""
    return max(profile.largest_seal, profile.largest_open, profile.largest_aead, LOAD_BYTES)


def is_consistent(plan, length: Value, profile: Profile) -> Value:
    """Whether a plan is right about a payload of ``length`` bytes: ways and lengths."""
    ways = Cat(
        plan.to_drain, plan.to_text, plan.to_prefix, plan.to_template_end, plan.to_header_end
    )
    one_way = (ways != 0) & ((ways & (ways - 1)) == 0)
    kinds = Cat(plan.seal, plan.open, plan.aead, plan.load)
    one_kind = (kinds & (kinds - 1)) == 0
    text, size = plan.text_bytes.as_signed(), plan.header_bytes
    long_header = size > BLOCK_BYTES
    before = Mux(plan.aead, AEAD_PREFIX_BYTES, Mux(plan.open, size, 0))
    lengths = [
        text == length - before - Mux(plan.tagged, TAG_BYTES, 0),
        plan.aead | (text > 0),
        text >= 0,
        length <= largest(profile),
        plan.text_at == Mux(plan.open, (size - 1)[:4], BLOCK_BYTES - 1),
        plan.tag_at == (length - 1)[:4],
        ~plan.open | ((size >= 2) & (size <= 2 * BLOCK_BYTES)),
        plan.text_pieces == pieces(plan.text_bytes[:-1]),
        plan.one_piece == one_piece(plan.text_bytes),
        plan.crosses == (plan.tag_at <= plan.text_at),
        plan.leaves == (plan.one_piece & ~plan.crosses),
    ]
    way = [
        kinds != 0,
        plan.to_prefix == plan.aead,
        plan.to_template_end == (plan.seal & long_header),
        plan.to_header_end == (plan.open & long_header),
        ~plan.seal & ~plan.load | ~plan.tagged,
        ~plan.open | plan.tagged,
        plan.writes == (plan.seal | plan.open),
    ]
    going = Cat(*lengths, *way).all()
    opcode = plan.echo.opcode
    named = [
        plan.takes == (plan.open | plan.aead),
        (opcode != Opcode.SEAL) | plan.seal,
        (opcode != Opcode.OPEN) | plan.open,
        ~opcode.matches(Opcode.AEAD_SEAL, Opcode.AEAD_OPEN) | plan.aead,
    ]
    message = plan.seal | plan.open | plan.aead
    drains = ~plan.writes & (~message | (plan.refusal != Status.OK))
    return one_way & one_kind & Cat(*named).all() & Mux(plan.to_drain, drains, going)
