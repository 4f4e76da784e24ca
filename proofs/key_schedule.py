"""The key schedule gives the round keys of FIPS 197, and keeps nothing of a key."""

from collections.abc import Iterator
from functools import reduce

from hdl.aes.key_schedule import KeySchedule
from proofs.aes import joined, key_expansion
from proofs.exact import Claim, Exact, Walk, reached
from proofs.machine import Machine, State
from proofs.polynomials import constant
from proofs.property import Mutant, Property

__all__ = ["PROPERTIES"]

#: What has been reached: a state, words of the key that were taken, round keys that were given.
Place = tuple[State, int, int]


class _KeySchedule(Walk):
    """Keys of any sizes, one after the other; words and round keys come and go at any time."""

    def __init__(self) -> None:
        block = KeySchedule()
        super().__init__(
            block,
            valid=block.keys.valid,
            ready=block.keys.ready,
            word=block.keys.payload,
            given=block.round_keys.valid,
            taken=block.round_keys.ready,
            round_key=block.round_keys.payload,
        )

    def claims(self, machine: Machine) -> Iterator[Claim]:
        # What is so whenever a key begins, behind reset and behind each key.
        start = machine.reset
        while True:
            claims: list[Claim] = []
            ends = [self._expand(machine, start, size, claims) for size in (16, 32)]
            again = reduce(State.joined, ends, start)
            if again == start:
                break
            start = again
        yield from claims
        for end in ends:
            yield self._left(machine, end)

    def _expand(self, machine: Machine, start: State, size: int, claims: list[Claim]) -> State:
        """What is so behind a key of this size that begins in a state; and claims about it."""
        key = [machine.forms.variables(8) for _ in range(size)]
        words = [(*joined(key[i : i + 4]), int(size == 32)) for i in range(0, size, 4)]
        round_keys = key_expansion(machine.forms, key)
        ends = []

        def turn(place: Place) -> Iterator[Place]:
            state, given, found = place
            if found == len(round_keys):
                ends.append(state)
                return
            outputs, _ = machine.step(state, {})
            # Valid and ready count for nothing while the other one is not there.
            waits = {} if outputs["ready"] == (0,) else {"valid": (0,)}
            stays = {} if outputs["given"] == (0,) else {"taken": (0,)}
            yield machine.step(state, waits | stays)[1], given, found
            if waits and given < len(words):
                word = {"valid": (1,), "word": words[given]}
                claims.append(Claim("a word is taken", outputs["ready"], (1,)))
                yield machine.step(state, word | stays)[1], given + 1, found
            if stays:
                wanted = (*constant(found, 4), *joined(round_keys[found]))
                claims.append(Claim("no word is taken", outputs["ready"], (0,)))
                claims.append(Claim("a round key is there", outputs["given"], (1,)))
                claims.append(Claim(f"round key {found}", outputs["round_key"], wanted))
                yield machine.step(state, {"taken": (1,)})[1], given, found + 1

        reached([(start, 0, 0)], turn)
        return reduce(State.joined, ends)

    def _left(self, machine: Machine, end: State) -> Claim:
        """When the next key may come, no register holds anything of the one before."""
        outputs, state = machine.step(end, {"valid": (0,)})
        while outputs["ready"] != (1,):
            end = state
            outputs, state = machine.step(end, {"valid": (0,)})
        kept = [bit for bit in end.registers if bit not in (0, 1)]
        return Claim("nothing is left of the key", kept, (0,) * len(kept))


PROPERTIES = [
    Property(
        name="aes.key_schedule",
        promise="The key schedule gives the 11 or 15 round keys that FIPS 197 derives from each "
        "key, whatever came before, and when it takes the next key no register holds any of it.",
        design=_KeySchedule,
        method=Exact(),
        mutant=Mutant(
            what="AES-256 has RotWord and Rcon in every round key",
            module="hdl.aes.key_schedule",
            old="with_constant.eq(~aes256 | ~number[0])",
            new="with_constant.eq(1)",
        ),
    )
]
