"""CXXRTL's C++, cut into functions and files that a compiler can cope with."""

import re
from collections.abc import Iterable

from sim.errors import SimulationError

__all__ = ["HEADER", "split_source", "state_list"]

#: The file with the class of the design, which the others include.
HEADER = "model.h"

#: Bytes of source that are worth a split.
_LARGE = 500_000
#: Bytes of source in a function. CXXRTL evaluates a design in a single one, and what a compiler
#: needs for a function grows faster than the function.
_FUNCTION_SIZE = 16_000
#: Bytes of functions in a file. Files are compiled at the same time, but each with the header.
_FILE_SIZE = 500_000

_CLASS_END = "}; // struct p_top\n"
_EVALUATION = re.compile(
    r"^bool p_top::eval\(performer \*performer\) \{\n"
    r"(?P<converged>\tbool converged = .*\n)(?P<clocks>(?:\tbool .*\n)*)(?P<body>(?:.*\n)*?)"
    r"\treturn converged;\n\}\n",
    re.MULTILINE,
)
_VARIABLE = re.compile(r"^\tvalue<\d+> (?P<name>\w+);\n", re.MULTILINE)
#: Each statement has a comment before it.
_STATEMENT = re.compile(r"^(?=\t//)", re.MULTILINE)
#: A register or a memory, among the members of the class.
_STATE = re.compile(r"^\t(?P<kind>wire|memory)<\d+> (?P<name>\w+)", re.MULTILINE)


def split_source(source: str) -> dict[str, str]:
    """Files by name: the header, which has it all if it is not large, and those to compile with it.

    The function that evaluates the design is cut between its statements. Variables that several of
    its parts use become members of the class. Raises `SimulationError` if the source is not what
    CXXRTL is known to write.
    """
    if len(source) < _LARGE:
        return {HEADER: source}
    declared, class_end, defined = source.partition(_CLASS_END)
    evaluation = _EVALUATION.search(defined)
    if not class_end or not evaluation:
        raise SimulationError("This version of Yosys writes C++ of a form that is not known here.")
    members, functions = _split_evaluation(evaluation["clocks"], evaluation["body"])
    calls = "".join(f"\teval_{number}(performer);\n" for number in range(len(functions)))
    whole = evaluation[0].replace(evaluation["clocks"] + evaluation["body"], calls)
    return {
        HEADER: f"{declared}{members}{class_end}\n}} // namespace cxxrtl_design\n",
        "model.cc": _BEGIN + defined.replace(evaluation[0], whole),
        **{
            f"eval_{number}.cc": f"{_BEGIN}{text}\n}} // namespace cxxrtl_design\n"
            for number, text in enumerate(_join(functions, _FILE_SIZE))
        },
    }


def state_list(source: str) -> str:
    """A macro that hands the name of each register and each memory to one of two other macros."""
    declared, _, _ = source.partition(_CLASS_END)
    kinds = {"wire": "REGISTER", "memory": "MEMORY"}
    names = [f"{kinds[match['kind']]}({match['name']})" for match in _STATE.finditer(declared)]
    return f"#define EVERY_STATE(REGISTER, MEMORY) {' '.join(names)}\n"


_BEGIN = f'#include "{HEADER}"\n\nnamespace cxxrtl_design {{\n\n'


def _split_evaluation(clocks: str, body: str) -> tuple[str, list[str]]:
    """What to add to the class, and the definitions of functions ``eval_0``, ``eval_1``, ..."""
    variables = {match["name"]: match[0] for match in _VARIABLE.finditer(body)}
    parts = _join(_STATEMENT.split(_VARIABLE.sub("", body)), _FUNCTION_SIZE)
    names = [variables.keys() & set(re.findall(r"\w+", part)) for part in parts]
    shared = {name for name in variables if sum(name in used for used in names) > 1}
    members = ["\tstruct {\n", *(f"\t{variables[name]}" for name in variables if name in shared)]
    members += ["\t} shared;\n"]
    functions = []
    for number, (part, used) in enumerate(zip(parts, names, strict=True)):
        members.append(f"\tvoid eval_{number}(performer *performer);\n")
        lines = [f"void p_top::eval_{number}(performer *performer) {{\n", clocks]
        lines += [variables[name] for name in sorted(used - shared)]
        lines += [f"\tauto &{name} = shared.{name};\n" for name in sorted(used & shared)]
        functions.append("".join([*lines, part, "}\n\n"]))
    return "".join(members), functions


def _join(texts: Iterable[str], size: int) -> list[str]:
    """Neighbours joined: all but the last have at least ``size`` bytes."""
    joined = [""]
    for text in texts:
        if len(joined[-1]) >= size:
            joined.append("")
        joined[-1] += text
    return joined
