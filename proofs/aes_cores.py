"""The AES cores encrypt whole blocks as FIPS 197 says, under every key."""

from collections.abc import Callable, Iterator
from functools import reduce

from hdl.aes.core import rounds
from hdl.aes.pipelined import PipelinedAES
from hdl.aes.ring import RingAES
from hdl.aes.sbox import SBoxForm
from hdl.aes.serial import SerialAES
from proofs.aes import cipher, joined, split
from proofs.exact import Claim, Exact, Walk
from proofs.machine import Machine, State
from proofs.polynomials import ANYTHING, Word, constant
from proofs.property import Mutant, Property

__all__ = ["PROPERTIES"]

_KEYS = 2
_KEY_BITS = (_KEYS - 1).bit_length()


class _Engine(Walk):
    """A core that holds its round keys; one block of any time, whatever else is in the core."""

    def __init__(self, core: RingAES | PipelinedAES, latency: Callable[[bool], int]):
        super().__init__(
            core,
            valid=core.requests.valid,
            ready=core.requests.ready,
            request=core.requests.payload,
            given=core.results.valid,
            result=core.results.payload,
            write=core.write,
            write_address=core.write_address,
            write_data=core.write_data,
        )
        self._latency = latency

    def claims(self, machine: Machine) -> Iterator[Claim]:
        for aes256 in (False, True):
            for key in range(_KEYS):
                yield from self._encrypt(machine, key, aes256)

    def _encrypt(self, machine: Machine, key: int, aes256: bool) -> Iterator[Claim]:
        forms = machine.forms
        round_keys = [forms.variables(128) for _ in range(rounds(aes256) + 1)]
        block = forms.variables(128)
        state = self._write(machine, key, round_keys)
        request = (*block, *constant(key, _KEY_BITS), int(aes256))
        # Where requests wait, it is the cycle in which this one is taken.
        taken = {"valid": (1,), "request": request, "write": (0,)}
        outputs, state = machine.step(state, taken, assumed={"ready": (1,)})
        yield from self._overtaking(machine, state, aes256)
        for _ in range(self._latency(aes256)):
            outputs, state = machine.step(state, {"write": (0,)})
        expected = cipher(forms, split(block), list(map(split, round_keys)))
        yield Claim("the result is there", outputs["given"], (1,))
        yield Claim("the result", outputs["result"], joined(expected))

    def _overtaking(self, machine: Machine, state: State, aes256: bool) -> Iterator[Claim]:
        """AES-128 blocks behind the last one of this size are not taken as long as they overtake.

        Then the result would come before the other's, or with it.
        """
        inputs = {"write": (0,), "request": (*(ANYTHING,) * (128 + _KEY_BITS), 0)}
        for _ in range(self._latency(aes256) - self._latency(False)):
            outputs, state = machine.step(state, inputs)
            yield Claim("no block overtakes another", outputs["ready"], (0,))

    def _write(self, machine: Machine, key: int, round_keys: list[Word]) -> State:
        """From any state, all the round keys are written; the whitening key, used first, last."""
        state = machine.anything
        for _ in range(len(round_keys)):
            _, state = machine.step(state, {"write": (0,)})
        for number, word in reversed(list(enumerate(round_keys))):
            address = (*constant(number, 4), *constant(key, _KEY_BITS))
            written = {"write": (1,), "write_address": address, "write_data": word}
            _, state = machine.step(state, written)
        _, state = machine.step(state, {"write": (0,)})
        return state


class _Serial(Walk):
    """The serial core, its round keys from outside; requests and results with any gaps."""

    def __init__(self) -> None:
        core = SerialAES(_KEYS)
        super().__init__(
            core,
            valid=core.requests.valid,
            ready=core.requests.ready,
            request=core.requests.payload,
            given=core.results.valid,
            result_ready=core.results.ready,
            result=core.results.payload,
            address=core.round_key_address,
            round_key=core.round_key,
        )

    def claims(self, machine: Machine) -> Iterator[Claim]:
        keys = [[machine.forms.variables(128) for _ in range(16)] for _ in range(_KEYS)]
        cases = [(key, aes256) for key in range(_KEYS) for aes256 in (False, True)]
        # What is so whenever the core is idle, behind reset and behind each request.
        idle = machine.waiting(machine.reset, {"valid": (0,)})
        while True:
            runs = [self._encrypt(machine, idle, keys, *case) for case in cases]
            joined = reduce(State.joined, (end for _, end in runs), idle)
            joined = machine.waiting(joined, {"valid": (0,)})
            if joined == idle:
                break
            idle = joined
        for claims, _ in runs:
            yield from claims

    def _encrypt(
        self, machine: Machine, state: State, keys: list[list[Word]], key: int, aes256: bool
    ) -> tuple[list[Claim], State]:
        """The claims about a request that is taken in an idle state, and the state behind it."""
        block = machine.forms.variables(128)
        request = (*block, *constant(key, _KEY_BITS), int(aes256))
        outputs, state = machine.step(state, {"valid": (1,), "request": request})
        claims = [Claim("the request is taken", outputs["ready"], (1,))]
        for _ in range(SerialAES.latency(aes256) - 1):
            round_key = self._read(keys, outputs["address"])
            outputs, state = machine.step(state, {"round_key": round_key})
            claims.append(Claim("no result before its time", outputs["given"], (0,)))
        state = machine.waiting(state, {"result_ready": (0,)})
        outputs, state = machine.step(state, {"result_ready": (1,)})
        round_keys = map(split, keys[key][: rounds(aes256) + 1])
        result = cipher(machine.forms, split(block), list(round_keys))
        claims.append(Claim("the result is there", outputs["given"], (1,)))
        claims.append(Claim("the result", outputs["result"], joined(result)))
        return claims, state

    def _read(self, keys: list[list[Word]], address: Word) -> Word:
        """The memory outside: a round key is there a cycle after its address."""
        if ANYTHING in address:
            return (ANYTHING,) * 128
        number = sum(bit << i for i, bit in enumerate(address) if bit)
        return keys[number >> 4][number & 15]


_ENGINE_BROKEN = Mutant(
    what="MixColumns takes a byte of the wrong row",
    module="hdl.aes.round_stage",
    old="^ column.rotate_right(24)",
    new="^ column.rotate_right(16)",
)

PROPERTIES = [
    Property(
        name="aes.serial",
        promise="The serial AES core gives each block encrypted by all 10 or 14 rounds of FIPS 197 "
        "in just the stated time, for every block and all round keys, behind any other requests.",
        design=_Serial,
        method=Exact(),
        mutant=Mutant(
            what="the last round has MixColumns too",
            module="hdl.aes.serial",
            old="Mux(final, Cat(once & 0, once & 0, once & 0, once), ordinary)",
            new="ordinary",
        ),
    ),
    *(
        Property(
            name=f"aes.ring.{form.value}",
            promise=f"The ring ({form.value} S-boxes) gives each block encrypted by all 10 or 14 "
            "rounds of FIPS 197 in just the stated time, for every block and all round keys, "
            "whatever else goes around in it; and no result comes before that of a block before.",
            design=lambda form=form, spacing=spacing: _Engine(
                RingAES(_KEYS, form, spacing), RingAES.latency
            ),
            method=Exact(),
            mutant=_ENGINE_BROKEN,
        )
        # In compact, requests come 10 cycles apart.
        for form, spacing in zip(SBoxForm, (0, 0, 10), strict=True)
    ),
    *(
        Property(
            name=f"aes.pipelined.{form.value}",
            promise=f"The pipeline ({form.value} S-boxes) gives each block encrypted by all 10 or "
            "14 rounds of FIPS 197 in just the stated time, for every block and all round keys, "
            "whatever else is in it.",
            design=lambda form=form: _Engine(
                PipelinedAES(_KEYS, form), lambda aes256: PipelinedAES.latency
            ),
            method=Exact(),
            mutant=Mutant(
                what="in AES-128, the last round has MixColumns too",
                module="hdl.aes.pipelined",
                old="Mux(this_aes256, stage.next_state, stage.last_state)",
                new="stage.next_state",
            ),
        )
        for form in SBoxForm
    ),
]
