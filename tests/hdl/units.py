"""The accelerator's side of a unit (`hdl.unit`), for tests."""

from collections.abc import Iterable

from tests.hdl.streams import put_all


def writes_into(unit, written: dict[int, int]):
    """A background process that keeps what the unit writes for its completion."""

    async def watch(ctx):
        async for *_, write in ctx.tick().sample(unit.write):
            if write.enable:
                written[write.address] = write.data

    return watch


async def first_phase(
    ctx, unit, opcode, slot=0, payload: bytes = b"", waits: Iterable[int] = ()
) -> dict[str, int]:
    """From ``start`` to ``done``: what the unit says. It has to take the whole payload."""
    request = {"opcode": opcode, "reserved": 0, "slot": slot, "request_id": 0}
    ctx.set(unit.request, request | {"length": len(payload)})
    ctx.set(unit.start, 1)
    await ctx.tick()
    ctx.set(unit.start, 0)
    await put_all(ctx, unit.payload, payload, waits)
    while not ctx.get(unit.done):
        await ctx.tick()
    await ctx.tick()
    return {name: ctx.get(getattr(unit, name)) for name in ("status", "length", "amount")}


async def second_phase(ctx, unit, keep: bool) -> int:
    """From ``finish`` to ``finished``; returns the cycles between the two."""
    cycles = 0
    ctx.set(unit.keep, keep)
    ctx.set(unit.finish, 1)
    while not ctx.get(unit.finished):
        await ctx.tick()
        ctx.set(unit.finish, 0)
        cycles += 1
    await ctx.tick()
    ctx.set(unit.finish, 0)
    return cycles
