"""What travels between the stages of the pipeline.

Integers are integers here; byte n of a block, a nonce or a connection ID stands in bits 8n to
8n + 7.
"""

from amaranth.hdl import Value
from amaranth.lib import data, enum

from driver.messages import CONNECTION_ID_BYTES, IV_BYTES
from hdl.profile import Profile

__all__ = [
    "LENGTH_BITS",
    "NUMBER_BITS",
    "Echo",
    "PipelineSlot",
    "SlotUse",
    "Ticket",
    "Ticketed",
    "context_layout",
    "mask_request_layout",
    "message_layout",
    "pending_layout",
    "request_layout",
    "void_if",
]

#: Lengths in bytes: of payloads, texts and associated data.
LENGTH_BITS = 16
#: A whole record number.
NUMBER_BITS = 48

#: What comes back in a completion as it was sent.
Echo = data.StructLayout({"opcode": 8, "slot": 16, "request_id": 16})

#: Whose something is. Each request draws the next ``number`` when its work begins, so that all that
#: are under way have different ones; ``opening`` says that what it brings may leave only if its tag
#: verifies. With all bits inverted a ticket is void, and nothing goes with it: no single bit is the
#: difference between a request that is accepted and one that is refused.
Ticket = data.StructLayout({"number": 7, "opening": 1})

#: A block, and the ticket of the request that it belongs to.
Ticketed = data.StructLayout({"block": 128, "ticket": Ticket})


def void_if(condition: Value, ticket: data.View) -> data.View:
    """The ticket, void if so."""
    return Ticket(Value.cast(ticket) ^ condition.replicate(Ticket.size))


def context_layout() -> data.StructLayout:
    """What LOAD has fixed for a slot, keys excepted; ``length`` and ``sixteen`` are its form."""
    return data.StructLayout(
        {
            "valid": 1,
            "aes256": 1,
            "usage": 2,
            "length": 1,
            "sixteen": 1,
            "connection_id_bytes": range(CONNECTION_ID_BYTES + 1),
            "epoch": 16,
            "iv": 8 * IV_BYTES,
            "connection_id": 8 * CONNECTION_ID_BYTES,
        }
    )


def request_layout() -> data.StructLayout:
    """A request whose packet was well-formed, or its refusal.

    ``tail_at`` is where the number stands in the header of a record: all behind it is the tail.
    ``wire`` is the number of a record to open, encrypted. ``masked`` says that a mask for it has
    been asked for. ``nonce`` is that of an AEAD message, the IV of a record.
    """
    return data.StructLayout(
        {
            "echo": Echo,
            "status": 4,
            "aes256": 1,
            "sixteen": 1,
            "length": 1,
            "masked": 1,
            "tail_at": 5,
            "epoch": 16,
            "wire": 16,
            "text_bytes": LENGTH_BITS,
            "associated_bytes": LENGTH_BITS,
            "nonce": 8 * IV_BYTES,
        }
    )


def mask_request_layout(profile: Profile) -> data.StructLayout:
    """The first 16 bytes of an encrypted record, whose mask is wanted (RFC 9147, 4.2.3)."""
    return data.StructLayout({"block": 128, "slot": range(profile.slots), "aes256": 1})


def pending_layout() -> data.StructLayout:
    """What is known of a request when its work begins, until its completion leaves.

    ``text_bytes`` counts what the request has put into the release queue, header and tag excepted.
    ``number`` is that of a record, and ``length`` and ``sixteen`` are the form of its header.
    """
    return data.StructLayout(
        {
            "ticket": Ticket,
            "echo": Echo,
            "status": 4,
            #: The request has a tag: sealed, or to be compared.
            "tagged": 1,
            "aes256": 1,
            "sixteen": 1,
            "length": 1,
            "tail_at": 5,
            "epoch": 16,
            "number": NUMBER_BITS,
            "text_bytes": LENGTH_BITS,
        }
    )


class SlotUse(enum.Enum, shape=2):
    """What a block in the AES core is for."""

    NOTHING = 0
    #: Counter 1: for the tag.
    TAG = 1
    #: Counters 2 and on: keystream.
    TEXT = 2
    #: The mask of a record number.
    MASK = 3


#: One of the slots that a message takes in the pipeline: what comes out of AES and goes into GHASH.
PipelineSlot = data.StructLayout(
    {
        "ticket": Ticket,  # of the message; a mask has any
        "use": SlotUse,
        "opening": 1,  # the mask is for a record to open
        "associated": 1,  # a block of associated data is hashed
        "has_block": 1,  # text, or associated data
        "last_associated": 1,
        "first_text": 1,
        "last_text": 1,
        "last": 1,  # of the message
    }
)


def message_layout(profile: Profile) -> data.StructLayout:
    """What the blocks of a message have in common.

    ``tail`` is turned, and belongs to the ``tail_lanes`` of a record's header, two blocks
    (`hdl.pipeline.record_header`); other messages have none. ``more_blocks`` counts the blocks that
    are hashed behind the first one: associated data, text and lengths. ``power``, the power of H
    less one, and ``final`` are what the first one needs (`hdl.hash_unit`).
    """
    return data.StructLayout(
        {
            "slot": range(profile.slots),
            "seal": 1,  # SEAL: the header is part of the completion
            "refused": 1,  # its blocks go the same way, but nothing of it is written
            "opening": 1,
            "associated_bytes": LENGTH_BITS,
            "text_bytes": LENGTH_BITS,
            "more_blocks": 13,
            "power": 3,
            "final": 1,
            "tail": 32,
            "tail_lanes": 32,
        }
    )
