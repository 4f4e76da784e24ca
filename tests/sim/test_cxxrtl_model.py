"""Compiled models: found again, built once, and never half there."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from amaranth.back import rtlil

from hdl.packet_stream import AXI4StreamTop
from sim import CompiledModel, SimulationError, StreamTiming, compiler, cxxrtl_source, simulate
from sim.cache import cache_directory, cached_library
from sim.compiler import find_compiler
from sim.cxxrtl_model import build_model
from sim.cxxrtl_source import HEADER, split_source
from sim.translation import translate
from tests.sim.toy import Incrementer, Ladder


def toy():
    return AXI4StreamTop(Incrementer())


def fake_compiler(path, script):
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("INTAGLIO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_model_in_the_cache_is_not_compiled_again(own_cache, tmp_path, monkeypatch):
    script = f'echo called >> {tmp_path}/calls; while [ "$1" != -o ]; do shift; done; echo > "$2"'
    monkeypatch.setenv("CXX", fake_compiler(tmp_path / "cxx", script))
    messages = []
    first = build_model(toy(), waves=False, progress=messages.append)
    assert len(messages) == 2
    assert build_model(toy(), waves=False, progress=messages.append) == first
    assert len(messages) == 2
    assert build_model(toy(), waves=True) != first
    assert (tmp_path / "calls").read_text().count("called") == 4  # to compile, to link


def test_a_failing_compiler_is_named_with_its_first_error(own_cache, tmp_path, monkeypatch):
    script = "echo 'in file included from x' >&2; echo 'x.cc:1: error: no' >&2; exit 3"
    monkeypatch.setenv("CXX", fake_compiler(tmp_path / "cxx", script))
    with pytest.raises(SimulationError, match=r"cxx failed with exit code 3: x\.cc:1: error: no"):
        build_model(toy(), waves=False)
    assert not list(own_cache.glob("*.so"))


def test_a_compiler_that_does_not_exist_is_named(own_cache, monkeypatch):
    monkeypatch.setenv("CXX", "/no/such/compiler")
    with pytest.raises(SimulationError, match="Cannot run the C\\+\\+ compiler /no/such/compiler"):
        build_model(toy(), waves=False)


def test_the_compiler_is_the_chosen_one_then_that_of_the_system_then_zig(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CXX", "ccache clang++-15")
    assert find_compiler()[:2] == ["ccache", "clang++-15"]
    monkeypatch.delenv("CXX")
    monkeypatch.setattr(compiler.importlib.util, "find_spec", lambda name: name)
    assert find_compiler()[1:4] == ["-m", "ziglang", "c++"]
    for name in ("clang++", "g++", "c++"):
        fake_compiler(tmp_path / name, "")
        assert find_compiler()[0] == name


def test_without_any_compiler_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(compiler.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SimulationError, match=r"pip install intaglio\[compiler\]"):
        find_compiler()


def test_many_who_want_the_same_model_build_it_once(own_cache):
    builds = []
    start = threading.Barrier(4)

    def build(scratch, library):
        builds.append(library)
        library.write_bytes(b"half")
        assert not list(own_cache.glob("*.so"))
        library.write_bytes(b"whole")

    def want(_):
        start.wait()
        return cached_library("key", build).read_bytes()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(want, range(4))) == [b"whole"] * 4
    assert len(builds) == 1
    assert sorted(path.name for path in own_cache.iterdir()) == ["key.lock", "key.so"]


def test_a_build_that_fails_leaves_nothing_and_the_next_one_succeeds(own_cache):
    def fail(scratch, library):
        library.write_bytes(b"half")
        raise SimulationError("broken")

    with pytest.raises(SimulationError, match="broken"):
        cached_library("key", fail)
    assert [path.name for path in own_cache.iterdir()] == ["key.lock"]
    assert cached_library("key", lambda scratch, library: library.touch()).exists()


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("INTAGLIO_CACHE", str(tmp_path / "file"))
    with pytest.raises(SimulationError, match=r"Cannot keep .*file.*INTAGLIO_CACHE"):
        cached_library("key", lambda scratch, library: library.touch())


def test_a_disk_that_fills_up_is_reported(own_cache):
    def build(scratch, library):
        with open("/dev/full", "w") as full:
            full.write("model")

    with pytest.raises(SimulationError, match="No space left on device"):
        cached_library("key", build)


def test_the_cache_is_the_users_if_nothing_else_is_said(monkeypatch):
    monkeypatch.delenv("INTAGLIO_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert "intaglio" in cache_directory().name


def test_a_damaged_library_is_named(own_cache, tmp_path, monkeypatch):
    script = 'while [ "$1" != -o ]; do shift; done; echo junk > "$2"'
    monkeypatch.setenv("CXX", fake_compiler(tmp_path / "cxx", script))
    with pytest.raises(SimulationError, match=r"Cannot load the compiled model .*\.so"):
        CompiledModel(Incrementer())


def test_two_simulations_of_one_model_do_not_share_state():
    model = CompiledModel(Incrementer())
    with model.simulate() as one, model.simulate() as other:
        one.send(b"a")
        assert other.receive(50) is None
        assert one.receive(50) == b"b"


def rtl_of(component):
    return rtlil.convert(AXI4StreamTop(component), name="top", emit_src=False)


@pytest.mark.parametrize("waves", [None, "waves.vcd"])
def test_a_model_in_many_functions_and_files_does_the_same(own_cache, tmp_path, monkeypatch, waves):
    for limit in ("_LARGE", "_FUNCTION_SIZE", "_FILE_SIZE"):
        monkeypatch.setattr(cxxrtl_source, limit, 500)
    source = random.Random(1)
    packets = [source.randbytes(source.randint(1, 60)) for _ in range(10)]
    results = []
    for backend in ("amaranth", "cxxrtl"):
        path = waves and tmp_path / waves
        with simulate(Incrementer(4), backend, path, StreamTiming(0.3, 0.3)) as simulation:
            results.append((simulation.exchange(packets, 10_000), simulation.cycles))
    assert results[0] == results[1]


def test_the_parts_of_a_large_model_share_their_variables(tmp_path, monkeypatch):
    monkeypatch.setattr(cxxrtl_source, "_LARGE", 0)
    monkeypatch.setattr(cxxrtl_source, "_FUNCTION_SIZE", 500)
    files = split_source(translate(rtl_of(Incrementer(16)), tmp_path, names=False))
    assert set(files) == {HEADER, "model.cc", "eval_0.cc"}
    assert "void eval_1(performer *performer);" in files[HEADER]
    assert "eval_1(performer);" in files["model.cc"]
    assert "auto &" in files["eval_0.cc"]


def test_cpp_of_an_unknown_form_is_reported(monkeypatch):
    monkeypatch.setattr(cxxrtl_source, "_LARGE", 0)
    with pytest.raises(SimulationError, match="not known"):
        split_source("int main() {}")


def test_fields_of_a_structure_that_depend_on_each_other_are_no_loop(tmp_path):
    """With the names kept they are taken for one, and evaluated several times a cycle."""
    assert "converged = false" in translate(rtl_of(Ladder()), tmp_path, names=True)
    assert "converged = true" in translate(rtl_of(Ladder()), tmp_path, names=False)
