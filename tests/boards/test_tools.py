"""Tools from PyPI: what they say when they fail, what they leave, and what when one is missing."""

import os

import pytest

from boards import tools
from boards.tools import SynthesisError, Tool


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A tool whose argument is Python statements, in a package that is installed."""
    packages = tmp_path / "packages"
    installed = packages / "forgery-1.dist-info"
    installed.mkdir(parents=True)
    (packages / "forgery.py").write_text("import sys\ndef run():\n    exec(sys.argv[1])\n")
    (installed / "METADATA").write_text("Name: forgery\nVersion: 1\n")
    (installed / "entry_points.txt").write_text("[console_scripts]\nfake = forgery:run\n")
    monkeypatch.syspath_prepend(packages)
    monkeypatch.setenv("PYTHONPATH", str(packages))
    return Tool("fake", tmp_path)


def test_a_tool_knows_its_package(fake):
    assert fake.package == "forgery"


def test_a_missing_tool_is_named_with_what_brings_it(tmp_path):
    with pytest.raises(SynthesisError) as error:
        Tool("yowasp-nothing", tmp_path)
    assert str(error.value) == (
        "the tool yowasp-nothing is missing: pip install 'intaglio[synth]' brings it"
    )


def test_a_tool_works_in_its_folder_and_leaves_a_log(fake, tmp_path):
    fake.run(["open('made', 'w').close(); print('done')"], "fake.log")
    assert (tmp_path / "made").exists()
    assert (tmp_path / "fake.log").read_text() == "done\n"


@pytest.mark.parametrize(
    ("statements", "sentence"),
    [
        (
            "print('fine\\nERROR: no such cell\\nbye'); sys.exit(3)",
            "failed with exit code 3: ERROR: no such cell",
        ),
        ("print('one'); print('two'); sys.exit(1)", "failed with exit code 1: two"),
        ("sys.exit(1)", "failed with exit code 1: no message"),
        ("raise OSError('trap')", "failed with exit code 1: OSError: trap"),
        ("import os; os.kill(os.getpid(), 15)", "was ended by SIGTERM"),
    ],
)
def test_a_failure_is_one_sentence_with_the_first_error(fake, statements, sentence):
    with pytest.raises(SynthesisError) as error:
        fake.run([f"import sys; {statements}"], "fake.log")
    assert str(error.value) == f"fake {sentence}"


def test_no_more_run_at_once_than_there_are_cores(fake, tmp_path, monkeypatch):
    monkeypatch.setattr(tools, "_cores", lambda: 2)
    statements = (
        "import os, time; name = str(os.getpid()); open(name + '.pid', 'w').close(); "
        "print(sum(file.endswith('.pid') for file in os.listdir())); "
        "time.sleep(0.3); os.unlink(name + '.pid')"
    )
    finished = []
    fake.run_all({f"{i}.log": [statements] for i in range(5)}, finished.append)
    assert sorted(finished) == [f"{i}.log" for i in range(5)]
    assert {int((tmp_path / log).read_text()) for log in finished} <= {1, 2}


def test_nothing_runs_on_after_one_has_failed(fake, tmp_path, monkeypatch):
    monkeypatch.setattr(tools, "_cores", lambda: 2)
    runs = {
        "slow.log": ["import os, time; print(os.getpid(), flush=True); time.sleep(600)"],
        "bad.log": [
            "import os, sys, time\n"
            "while not os.path.getsize('slow.log'): time.sleep(0.05)\n"
            "sys.exit(1)"
        ],
    }
    with pytest.raises(SynthesisError, match=r"^fake failed"):
        fake.run_all(runs, lambda log: None)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "slow.log").read_text()), 0)
