from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.ci_scripts import CI, load, script

host, index, pip_install = load("host"), load("index"), load("pip_install")
CPU_INDEX = "https://cpu.example/whl"


def answer(*versions: str, asked: int = 1, failures: tuple[str, ...] = ()) -> object:
    return index.Answer(versions=versions, asked=asked, failures=failures)


def asking(monkeypatch: pytest.MonkeyPatch, **known: object) -> None:
    """Answers by what is asked: the index itself, with the extra one, or for another Python."""

    def ask(package: str, *options: str) -> object:
        assert package == "torch"
        if "--extra-index-url" in options:
            return known["extra"]
        return known["other"] if "--python-version" in options else known["own"]

    monkeypatch.setattr(index, "ask", ask)
    monkeypatch.setattr(index, "situation", lambda: "pip's default index, PyPI")
    monkeypatch.setattr(index, "other_pythons", lambda: [("3.11", "/usr/bin/python3.11")])
    monkeypatch.setattr(index, "running", lambda: "3.14")


def test_the_wheel_of_pips_own_index_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    asking(monkeypatch, own=answer("2.14.0", "2.13.0+cpu"))
    assert index.choose("2.13.0", CPU_INDEX, plain_torch=False) == ("torch==2.13.0+cpu\n", [])


def test_else_the_extra_index_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asking(monkeypatch, own=answer("2.13.0"), extra=answer("2.13.0", "2.13.0+cpu"))
    text, message = index.choose("2.13.0", CPU_INDEX, plain_torch=False)
    assert text == f"--extra-index-url {CPU_INDEX}\ntorch==2.13.0+cpu\n"
    assert message == []


def test_a_missing_wheel_names_package_python_index_and_ways_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asking(
        monkeypatch,
        own=answer("2.13.0"),
        extra=answer("2.13.0", asked=2, failures=("timed out",)),
        other=answer("2.13.0+cpu"),
    )
    text, message = index.choose("2.13.0", CPU_INDEX, plain_torch=False)
    assert text == ""
    told = "\n".join(message)
    assert "torch 2.13.0+cpu has no wheel for Python 3.14 at this index (pip's default" in told
    assert f"this machine does not reach {CPU_INDEX}" in told
    assert "make install PYTHON=/usr/bin/python3.11    Python 3.11" in told
    assert "PLAIN_TORCH=1" in told
    asking(monkeypatch, own=answer("2.14.0"), extra=answer("2.14.0"), other=answer("2.14.0"))
    told = "\n".join(index.choose("2.13.0", CPU_INDEX, plain_torch=False)[1])
    assert f"nor {CPU_INDEX}" in told
    assert "PLAIN_TORCH" not in told
    assert "PYTHON=" not in told


def test_plain_torch_is_taken_when_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    asking(monkeypatch, own=answer("2.13.0"))
    assert index.choose("2.13.0", CPU_INDEX, plain_torch=True) == ("torch==2.13.0\n", [])
    asking(monkeypatch, own=answer("2.14.0"))
    text, message = index.choose("2.13.0", CPU_INDEX, plain_torch=True)
    assert (text, "newest there: 2.14.0" in message[0]) == ("", True)


def test_no_network_is_told_from_no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    asking(monkeypatch, own=answer("2.13.0+cpu", failures=("[Errno 111] Connection refused",)))
    text, message = index.choose("2.13.0", CPU_INDEX, plain_torch=False)
    assert text == ""
    assert message[0].startswith("pip reaches no package index")
    assert "Connection refused" in message[0]
    asking(monkeypatch, own=answer("2.13.0+cpu", asked=0))  # PIP_NO_INDEX, a folder of wheels
    assert index.choose("2.13.0", CPU_INDEX, plain_torch=False)[1] == []


def test_pips_own_words_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = """\
Fetching project page and analyzing links: https://a.example/simple/torch/
Fetching project page and analyzing links: https://b.example/simple/torch/
Could not fetch URL https://a.example/simple/torch/: connection error: HTTPConnectionPool\
(host='a.example', port=443): Max retries exceeded with url: /simple/torch/ (Caused by \
NewConnectionError('<HTTPConnection>: Failed: [Errno 111] Connection refused')) - skipping
Could not fetch URL https://b.example/simple/torch/: 404 Client Error: Not Found for url: x
torch (2.14.1)
Available versions: 2.14.1, 2.13.0+cpu"""
    (tmp_path / "said").write_text(said)
    pip = script(tmp_path / "python", f'echo "$@" > {tmp_path}/asked; cat {tmp_path}/said')
    monkeypatch.setattr(sys, "executable", str(pip))
    found = index.ask("torch", "--extra-index-url", CPU_INDEX)
    assert found.versions == ("2.14.1", "2.13.0+cpu")
    assert found.failures == ("[Errno 111] Connection refused",)
    assert (found.asked, found.unreachable) == (2, False)
    assert "index versions torch" in (tmp_path / "asked").read_text()


def test_addresses_with_credentials_are_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = """\
:env:.index-url='https://user:secret@private.example/simple'
global.cert='/etc/certs'
global.find-links='/opt/wheels'
site.find-links='/opt/wheels'"""
    (tmp_path / "settings").write_text(settings)
    pip = script(tmp_path / "python", f"cat {tmp_path}/settings")
    monkeypatch.setattr(sys, "executable", str(pip))
    told = index.situation()
    assert told == "index-url = (an address with credentials); find-links = /opt/wheels"
    (tmp_path / "settings").write_text("")
    assert index.situation() == "pip's default index, PyPI"


def test_beside_the_plain_torch_all_that_vllm_needs_is_listed() -> None:
    constraints = "# remark\nnumpy==2.3.5\ntorch==2.13.0\nvllm-cpu==0.32.0\nsix==1.17.0"
    assert index.stack(constraints, plain_torch=False) == "-e .[cpu,dev]\n"
    assert index.stack(constraints, plain_torch=True) == "numpy==2.3.5\nsix==1.17.0\n-e .[dev]\n"


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("ERROR: No matching distribution found for ruptures==9", "No wheel of ruptures==9 for"),
        (
            "in these conflicts have no matching distributions available for your environment:\n"
            "    ruptures\n\nERROR: ResolutionImpossible: ",
            "No wheel of ruptures for Python 3.14 at this index (PyPI)",
        ),
        ("ERROR: ResolutionImpossible: ", "constraints-cpu.txt cannot be had together"),
        ("ERROR: Failed building wheel for orjson", "orjson has no wheel for Python 3.14"),
        ("OSError: [Errno 28] No space left on device", "The disk is full"),
        ("NewConnectionError(x)\nERROR: No matching distribution found for a", "network"),
    ],
)
def test_a_failure_of_pip_is_explained(printed: str, expected: str) -> None:
    (told,) = pip_install.explain(printed, "3.14", "PyPI")
    assert expected in told


def test_pip_is_quiet_unless_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(pip_install, "situation", lambda: "PyPI")
    good = script(tmp_path / "good", "echo working; echo WARNING: much >&2")
    monkeypatch.setattr(sys, "executable", str(good))
    assert pip_install.main(["x"]) == 0
    assert capsys.readouterr() == ("", "")
    bad = script(tmp_path / "bad", "echo ERROR: No matching distribution found for x; exit 1")
    monkeypatch.setattr(sys, "executable", str(bad))
    assert pip_install.main(["x"]) == 1
    told = capsys.readouterr().err
    assert "No wheel of x for Python" in told
    assert str(tmp_path / "install.log") in told


def test_all_that_a_machine_lacks_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {"apt-get": "/usr/bin/apt-get"}
    monkeypatch.setattr(host.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(host.sysconfig, "get_paths", lambda: {"include": str(tmp_path)})
    monkeypatch.setattr(shutil, "which", found.get)
    monkeypatch.setattr(host, "of_debian", lambda: True)
    monkeypatch.setattr(host.platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**30))
    monkeypatch.delenv("CXX", raising=False)
    told = host.report(host.missing_here(tmp_path / "venv", plain_torch=False))
    minor = sys.version_info.minor
    for what in ("venv and ensurepip", "Python.h", "C++ compiler (c++)", "glibc 2.28", "1.0 GiB"):
        assert what in told
    assert told.count("  why: ") == told.count("  do:  ") == 5
    assert f"apt-get install python3.{minor}-venv python3.{minor}-dev g++" in told


def test_nothing_is_missing_where_all_is_there(tmp_path: Path) -> None:
    assert not list(host.check_venv())
    assert not list(host.check_libc())


def test_a_compiler_that_does_not_work_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = script(tmp_path / "c++", "echo cannot execute cc1plus >&2; exit 1")
    monkeypatch.setenv("CXX", str(broken))
    (missing,) = host.check_compiler()
    assert "cannot execute cc1plus" in missing.what
    monkeypatch.setenv("CXX", str(script(tmp_path / "works", "exit 0")))
    assert not list(host.check_compiler())


def test_an_environment_that_stands_needs_little_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    (tmp_path / "lib").mkdir()
    assert not list(host.check_disk(tmp_path, plain_torch=True))


def test_an_environment_of_another_python_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[list[object]] = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: asked.append(command))
    host.make_venv(tmp_path)
    (tmp_path / "pyvenv.cfg").write_text("version = 3.10.1\n")
    host.make_venv(tmp_path)
    assert ["--clear" in command for command in asked] == [False, True]
    assert "made anew" in capsys.readouterr().out


def test_nothing_is_installed_when_something_is_missing(tmp_path: Path) -> None:
    """The whole preflight, on a machine whose compiler is gone and that root does not own."""
    tools = tmp_path / "bin"
    for tool in ("dirname", "cat", "grep", "sh"):
        found = shutil.which(tool)
        assert found
        tools.mkdir(exist_ok=True)
        (tools / tool).symlink_to(found)
    script(tools / "id", "echo 1000")
    done = subprocess.run(
        [tools / "sh", CI / "preflight", tmp_path / "venv"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": str(tools), "PYTHON": sys.executable, "CXX": "no-such-compiler"},
    )
    assert done.returncode == 1
    assert "missing: a C++ compiler (no-such-compiler)" in done.stderr
    assert not (tmp_path / "venv").exists()
