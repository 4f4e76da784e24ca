"""GHASH by digits of a block (SP 800-38D, 6.3 and 6.4): byte by byte, and with tables."""

from collections.abc import Iterator

from hdl.ghash import GHASH
from hdl.ghash_digit import DigitGHASH
from proofs.exact import Claim, Exact, Walk, reached
from proofs.machine import Machine, State
from proofs.polynomials import Form, Polynomials, Word, added, constant, parts
from proofs.property import Mutant, Property

__all__ = ["PROPERTIES", "coefficients", "product"]


def coefficients(block: Word) -> Word:
    """By power of x, the coefficients of a block (SP 800-38D, 6.3), which `hdl.block` describes."""
    return tuple(bit for byte in parts(block, 8) for bit in reversed(byte))


def product(forms: Polynomials, a: Word, b: Word) -> Word:
    """The product of two blocks in GF(2**128) (SP 800-38D, 6.3)."""
    powers: list[Form] = [0] * 255
    for i, x in enumerate(coefficients(a)):
        for j, y in enumerate(coefficients(b)):
            (powers[i + j],) = added((powers[i + j],), (forms.times(x, y),))
    # x**128 is 1 + x + x**2 + x**7.
    for power in range(254, 127, -1):
        for lower in (0, 1, 2, 7):
            (sum_,) = added((powers[power - 128 + lower],), (powers[power],))
            powers[power - 128 + lower] = sum_
    return coefficients(tuple(powers[:128]))


def _turned(block: Word) -> Word:
    """The same block as polynomials stand in `hdl.ghash`, or back: its bytes in reverse order."""
    return tuple(bit for byte in reversed(parts(block, 8)) for bit in byte)


#: What has been reached: a state, bytes of the block that were taken, whether one was just now.
Place = tuple[State, int, bool]


class _Serial(Walk):
    """`GHASH`, from any digest of the blocks so far through the next block, with any gaps."""

    def __init__(self, digit: int):
        unit = GHASH(digit)
        super().__init__(
            unit,
            h=unit.h,
            start=unit.start,
            clear=unit.clear,
            valid=unit.bytes.valid,
            ready=unit.bytes.ready,
            byte=unit.bytes.payload,
            sum=unit.sum,
        )

    def claims(self, machine: Machine) -> Iterator[Claim]:
        forms = machine.forms
        h, digest, block, following = (forms.variables(128) for _ in range(4))
        digest_bytes, block_bytes = parts(digest, 8), parts(block, 8)
        wanted = product(forms, added(digest, block), h)
        claims = []

        _, cleared = machine.step(machine.anything, {"clear": (1,), "start": (0,)})
        yield Claim("all is cleared", cleared.registers, (0,) * len(cleared.registers))
        _, begun = machine.step(cleared, {"clear": (1,), "start": (1,), "h": h})
        running = {"clear": (0,), "start": (0,), "h": h}

        def turn(place: Place) -> Iterator[Place]:
            state, taken, is_new = place
            outputs, still = machine.step(state, running | {"valid": (0,)})
            if is_new:
                wanted_sum = added(block_bytes[taken - 1], digest_bytes[taken - 1])
                claims.append(Claim("the sum of a byte and the digest", outputs["sum"], wanted_sum))
            waits = outputs["ready"] != (0,)
            if waits:
                byte = block_bytes[taken] if taken < 16 else following[:8]
                outputs, after = machine.step(state, running | {"valid": (1,), "byte": byte})
                claims.append(Claim("a byte is taken", outputs["ready"], (1,)))
                yield self._next(machine, after, taken + 1, True)
            else:
                _, still = machine.step(state, running)
            yield self._next(machine, still, taken, False)

        first = machine.renamed(begun, total=_turned(digest), multiple=_turned(h))
        yield Claim("begins with H", machine.register(begun, "multiple"), _turned(h))
        yield Claim("begins with 0", machine.register(begun, "total"), (0,) * 128)
        self._claims, self._words = claims, (h, digest, block, following, wanted)
        reached([(first, 0, False)], turn)
        yield from claims

    def _next(self, machine: Machine, state: State, taken: int, is_new: bool) -> Place:
        """The place that follows; behind a block, the digest gets its name again."""
        h, digest, block, following, wanted = self._words
        last_goes_on = taken == 16 and (is_new or machine.register(state, "position") != (0,) * 4)
        if taken < 16 or last_goes_on:
            return state, taken, is_new
        self._claims += [
            Claim("the digest", machine.register(state, "total"), _turned(wanted)),
            Claim("goes on with H", machine.register(state, "multiple"), _turned(h)),
        ]
        named = {"total": _turned(digest), "multiple": _turned(h)}
        if is_new:
            byte = machine.register(state, "byte")
            self._claims.append(Claim("the next block's first byte", byte, following[:8]))
            named["byte"] = block[:8]
        return machine.renamed(state, **named), taken - 16, is_new


_SLOTS = 2
_ROWS = DigitGHASH.powers


class _Tables(Walk):
    """`DigitGHASH`, whose tables are derived first, from any digest through the next block.

    Blocks come with any gaps, of either slot, the last one of a message or not.
    """

    def __init__(self, digit: int):
        unit = DigitGHASH(digit, _SLOTS)
        block = unit.blocks
        super().__init__(
            unit,
            valid=block.valid,
            ready=block.ready,
            block=block.payload,
            given=unit.digests.valid,
            digest=unit.digests.payload,
            write=unit.write,
            address=unit.address,
            h=unit.h,
            derived=unit.derived,
        )
        self._interval = unit.interval

    def claims(self, machine: Machine) -> Iterator[Claim]:
        forms = machine.forms
        digest, block = forms.variables(128), forms.variables(128)
        subkeys = [forms.variables(128) for _ in range(_SLOTS)]
        state = machine.reset
        for slot, h in enumerate(subkeys):
            state = self._derive(machine, state, slot, h)
        yield Claim("begins with 0", machine.register(state, "product"), (0,) * 128)
        first = machine.renamed(state, product=_turned(digest))
        wanted = [product(forms, added(digest, block), h) for h in subkeys]
        claims = []

        def turn(state: State) -> Iterator[State]:
            idle = {"valid": (0,), "write": (0,), "derived": (0,)}
            outputs, still = machine.step(state, idle)
            claims.append(Claim("a block can be taken", outputs["ready"], (1,)))
            claims.append(Claim("no digest but of a last block", outputs["given"], (0,)))
            yield machine.renamed(still, product=machine.register(still, "product"))
            for slot, last in [(slot, last) for slot in range(_SLOTS) for last in (0, 1)]:
                found, after = self._multiply(machine, state, (*block, slot, last, last))
                claims.extend(self._claims(found, wanted[slot], last))
                left = (0,) * 128 if last else _turned(wanted[slot])
                claims.append(Claim("the product", machine.register(after, "product"), left))
                yield machine.renamed(after, product=_turned(digest))

        reached([first], turn)
        yield from claims

    def _derive(self, machine: Machine, state: State, slot: int, h: Word) -> State:
        """Row 0 becomes zero; then each is derived, from one that was read two cycles before."""
        quiet = {"valid": (0,), "h": h}
        for row in range(_ROWS):
            for write in (0, 0, 1, 0):
                inputs = {"address": (*constant(row, 4), slot), "write": (write,)}
                derived = {"derived": (int(row > 0),)}
                _, state = machine.step(state, quiet | inputs | derived)
        return state

    def _multiply(
        self, machine: Machine, state: State, block: Word
    ) -> tuple[list[dict[str, Word]], State]:
        """The outputs of each cycle in which a block is under way, and the state behind them."""
        quiet = {"write": (0,), "derived": (0,)}
        found = []
        inputs = {"valid": (1,), "block": block}
        for _ in range(self._interval):
            outputs, state = machine.step(state, quiet | inputs)
            found.append(outputs)
            inputs = {}
        return found, state

    def _claims(self, found: list[dict[str, Word]], wanted: Word, last: int) -> Iterator[Claim]:
        for outputs in found[1:]:
            yield Claim("no other block is taken", outputs["ready"], (0,))
        for outputs in found[:-1]:
            yield Claim("no digest before its time", outputs["given"], (0,))
        yield Claim("a digest of a last block", found[-1]["given"], (last,))
        if last:
            yield Claim("the digest", found[-1]["digest"], wanted)


PROPERTIES = [
    *(
        Property(
            name=f"ghash.serial.{digit}",
            promise=f"GHASH by {digit} coefficients a cycle gives (Y + X) * H in GF(2**128), as "
            "SP 800-38D defines it, for all digests Y, blocks X and subkeys H, with any gaps "
            "between the bytes, and goes on from there.",
            design=lambda digit=digit: _Serial(digit),
            method=Exact(),
            mutant=Mutant(
                what="the multiple of H is not reduced by x**7",
                module="hdl.ghash",
                old="_R = 0xE1 << 120",
                new="_R = 0xE0 << 120",
            ),
        )
        for digit in (1, 2, 4, 8)
    ),
    *(
        Property(
            name=f"ghash.tables.{digit}",
            promise=f"GHASH by {digit} coefficients a cycle, from the tables that it derives of H, "
            "gives (Y + X) * H in GF(2**128), as SP 800-38D defines it, for all digests Y, blocks "
            "X and subkeys H of its slots, in just the stated time, and goes on from there.",
            design=lambda digit=digit: _Tables(digit),
            method=Exact(),
            mutant=Mutant(
                what="what leaves on the right comes back without x**7",
                module="hdl.ghash_digit",
                old="return high ^ high >> 1 ^ high >> 2 ^ high >> 7",
                new="return high ^ high >> 1 ^ high >> 2",
            ),
        )
        for digit in (4, 8, 16, 32, 64)
    ),
]
