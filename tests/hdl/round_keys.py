"""Round keys in a memory, as an AES core reads them, without a key schedule."""

from amaranth.lib import memory

from hdl.aes.core import expand_key
from hdl.block import from_bytes


def connect_round_keys(m, core, keys):
    """Puts a memory beside the core, with the round keys of ``keys`` at their addresses."""
    rows = [0] * (16 * len(keys))
    for index, key in enumerate(keys):
        for number, round_key in enumerate(expand_key(key)):
            rows[16 * index + number] = from_bytes(round_key)
    m.submodules.memory = store = memory.Memory(shape=128, depth=len(rows), init=rows)
    port = store.read_port()
    m.d.comb += [port.addr.eq(core.round_key_address), core.round_key.eq(port.data)]
