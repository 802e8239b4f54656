"""The command line: its verbs, what it imports, how it tells errors, and its reference."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable

import pytest

from rlavr_hpc import __version__, cli
from rlavr_hpc.commands.command_reference import as_text, commands, config_groups
from rlavr_hpc.commands.run import _readable, options_first
from rlavr_hpc.config import keys
from rlavr_hpc.config.algorithm import AlgorithmConfig
from rlavr_hpc.config.plugin import PluginConfig
from rlavr_hpc.errors import EarlyWarningError, ExitCode, LedgerError, UserError
from rlavr_hpc.runs.identity import to_dict
from tests.support.commands import REPOSITORY, command, rlavr
from tests.support.configs import composed

HEAVY = ("torch", "hydra", "omegaconf", "pandas", "numpy", "wandb", "transformers", "shtab", "yaml")
GROUPS = {
    "run": ["run", "check", "plan", "fetch", "rollback"],
    "look": ["status", "why", "logs", "report", "track"],
    "label": ["ledger", "labels", "grade"],
    "cluster": ["doctor", "cancel", "retry", "start-now"],
    "model": ["evaluate", "export"],
    "shell": ["completion"],
}


def imported(*arguments: str) -> set[str]:
    """Top packages in memory after a command line, which must end well."""
    code = (
        "import sys\n"
        "from rlavr_hpc import cli\n"
        "try:\n"
        f"    assert cli.call({list(arguments)}) == 0\n"
        "except SystemExit as end:\n"
        "    assert not end.code\n"
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    return set(done.stderr.split())


# --- verbs ---------------------------------------------------------------------------------------


def test_help_lists_every_verb_in_its_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.call([]) == ExitCode.DONE
    told = capsys.readouterr().out
    found: dict[str, list[str]] = {}
    for line in told.splitlines():
        if line.rstrip(":") in GROUPS and line.endswith(":"):
            verbs = found.setdefault(line.rstrip(":"), [])
        elif found and line.startswith("  ") and line.split()[0] in cli.VERBS:
            verbs.append(line.split()[0])
        elif line == "options:":
            break
    assert found == GROUPS


def test_a_verb_has_a_module_and_a_module_a_verb() -> None:
    files = {path.stem for path in (REPOSITORY / "rlavr_hpc/commands").glob("*.py")}
    named = {verb.module.rpartition(".")[2] for verb in cli.VERBS.values()}
    parts = {"label_preview", "labels_desk", "labels_quality"}  # of `rlavr labels`
    assert files == named | parts | {"__init__", "command_reference"}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], []])
def test_help_imports_no_heavy_package(arguments: list[str]) -> None:
    assert imported(*arguments).isdisjoint(HEAVY)


@pytest.mark.parametrize("verb", [verb for verb in cli.VERBS if verb != "run"])
def test_a_verbs_help_imports_no_torch(verb: str) -> None:
    assert imported(verb, "--help").isdisjoint({"torch", "vllm", "deepspeed", "transformers"})


def test_the_version_is_told() -> None:
    done = command("rlavr_hpc", "--version")
    assert (done.returncode, done.stdout) == (0, f"rlavr {__version__}\n")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("staus", "there is no verb 'staus'; did you mean status?"),
        ("start", "did you mean"),
        ("xyzzy", "there is no verb 'xyzzy'; `rlavr --help` lists them"),
        ("--watch", "there is no option '--watch'"),
    ],
)
def test_an_unknown_verb_is_a_mistake_and_the_closest_are_named(
    given: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.call([given]) == ExitCode.MISTAKE
    said = capsys.readouterr()
    assert said.out == ""
    assert told in said.err


def test_an_unknown_option_of_a_verb_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.call(["status", "runs", "--jason"])
    assert ended.value.code == ExitCode.MISTAKE
    assert "--jason" in capsys.readouterr().err


def test_options_may_stand_anywhere_among_the_overrides() -> None:
    given = ["steps=2", "-m", "budget=0.1,0.2", "~tracking", "--cfg", "job", "seed=1"]
    assert options_first(given) == [
        "-m",
        "--cfg",
        "job",
        "steps=2",
        "budget=0.1,0.2",
        "~tracking",
        "seed=1",
    ]


def test_the_design_cards_command_is_the_verb_run() -> None:
    card = command("rlavr_hpc.run", "--cfg", "job", "-p", "acquisition")
    verb = rlavr("run", "--cfg", "job", "-p", "acquisition")
    assert (card.returncode, verb.returncode) == (0, 0)
    assert "name: care" in card.stdout
    assert card.stdout == verb.stdout


def test_a_key_that_does_not_exist_is_told_once_and_is_a_mistake() -> None:
    done = rlavr("run", "stepz=3")
    assert done.returncode == ExitCode.MISTAKE
    assert done.stderr.startswith("rlavr: Could not override 'stepz'")
    assert done.stderr.count("rlavr:") == 1


def test_report_is_the_analysis() -> None:
    done = rlavr("report", "nowhere")
    assert done.returncode == ExitCode.MISTAKE
    assert done.stderr.startswith("rlavr: ")
    assert "usage: rlavr report watch" in rlavr("report", "watch", "--help").stdout


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UserError("no such thing"), 2),
        (LedgerError("no such thing"), 1),
        (EarlyWarningError("no such thing"), 3),
        (OSError("no such thing"), 1),
    ],
)
def test_an_expected_error_is_one_line_and_its_exit_code(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.reporting_errors(raising(error)) == code
    assert capsys.readouterr().err == "rlavr: no such thing\n"


def test_an_unexpected_error_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        cli.reporting_errors(raising(ZeroDivisionError()))


def test_an_interrupt_has_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.reporting_errors(raising(KeyboardInterrupt())) == ExitCode.SECOND_SIGNAL
    assert capsys.readouterr().err == "rlavr: interrupted\n"


def test_a_mistake_is_told_by_the_first_of_many_ranks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "1")
    assert cli.reporting_errors(raising(UserError("no such thing"))) == 2
    assert capsys.readouterr().err == ""
    assert cli.reporting_errors(raising(LedgerError("rank 1 alone knows"))) == 1
    assert capsys.readouterr().err == "rlavr: rank 1 alone knows\n"


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    line = f"{sys.executable} -m rlavr_hpc run --help | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert done.stdout.splitlines()[-1] == "0"
    assert done.stderr == ""


# --- completion ----------------------------------------------------------------------------------


def test_the_script_for_bash_is_valid_and_completes_verbs_and_options() -> None:
    script = rlavr("completion", "bash").stdout
    probe = """
COMP_WORDS=(rlavr {0}); COMP_CWORD=1; COMPREPLY=(); _shtab_rlavr 2>/dev/null
echo "${{COMPREPLY[*]}}"
COMP_WORDS=(rlavr status --w); COMP_CWORD=2; COMPREPLY=(); _shtab_rlavr 2>/dev/null
echo "${{COMPREPLY[*]}}"
"""
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
    done = subprocess.run(
        ["bash"], input=script + probe.format("sta"), capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == ["status start-now", "--watch"]


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_have_a_script_too(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.call(["completion", shell]) == 0
    assert "start-now" in capsys.readouterr().out


# --- reference -----------------------------------------------------------------------------------


def test_every_command_has_a_summary_a_description_examples_and_exit_codes() -> None:
    found = {one.name: one for one in commands(cli.build_parser())}
    assert set(cli.VERBS) < set(found)
    assert {"ledger show", "ledger verify", "track sync"} < set(found)
    bad = [
        name
        for name, one in found.items()
        if not (one.summary and one.description)
        or "Example" not in one.epilog
        or "Exit codes: 0" not in one.epilog
        or f"rlavr {name}" not in one.epilog
        or not one.usage.startswith(f"rlavr {name}")
    ]
    assert bad == []


def test_every_option_of_every_command_has_a_sentence() -> None:
    bad = [
        (one.name, option.names)
        for one in commands(cli.build_parser())
        for option in one.options
        if len(option.sentence.split()) < 2 or option.sentence == argparse.SUPPRESS
    ]
    assert bad == []


def test_an_option_is_described_as_it_is_typed() -> None:
    (logs,) = [one for one in commands(cli.build_parser()) if one.name == "logs"]
    options = {option.names: option for option in logs.options}
    assert options["-n", "--lines"].value == "N"
    assert options["-f", "--follow"].value == ""
    assert options["RUN",].required


def test_every_key_has_a_sentence() -> None:
    bad = [key.key for group in config_groups() for key in group.keys if key.sentence[-1:] != "."]
    assert bad == []


def test_every_group_has_a_sentence_and_every_choice_of_a_key_too() -> None:
    assert [group.name for group in config_groups() if not group.sentence.endswith(".")] == []
    bad = [
        f"{key.key}={choice}"
        for group in config_groups()
        for key in group.keys
        for choice, sentence in key.choices.items()
        if not sentence and choice not in ("float32", "bfloat16")
    ]
    assert bad == []


def test_every_key_that_a_run_has_is_there() -> None:
    known = {key.key for group in keys.groups() for key in group.keys}

    def leaves(value: object, key: str) -> set[str]:
        if key in known or not isinstance(value, dict):
            return {key}
        return {leaf for name in value for leaf in leaves(value[name], f"{key}.{name}".strip("."))}

    assert leaves(to_dict(composed()), "") - {"version"} == known


def test_a_key_has_its_type_default_and_choices() -> None:
    found = {key.key: key for group in config_groups() for key in group.keys}
    assert (found["budget"].type, found["budget"].default) == ("float or null", "null")
    assert (found["algorithm.lr"].type, found["algorithm.lr"].default) == ("float", "1e-06")
    assert found["algorithm.overlong.buffer"].group == "algorithm"
    assert found["algorithm.overlong.buffer"].default == "0"
    assert found["data.people"].type == "list of int"
    assert found["data.people"].default == "[3]"
    assert found["reward.name"].default == ""
    assert found["acquisition.settings"].type == "mapping"
    assert found["unlabelled"].type == "choice or null"
    assert list(found["unlabelled"].choices) == ["drop", "pseudo", "trusted", "soft"]
    assert found["hydra.launcher.throttle"].type == "int or null"


def test_the_options_of_a_group_are_its_files() -> None:
    groups = {group.name: group for group in config_groups()}
    assert set(groups["rollout"].options) == {"hf", "vllm"}
    assert groups["rollout"].default_option == "vllm"
    assert "dapo" in groups["algorithm/loss"].options
    assert groups["eval"].options == ()


def test_a_sentence_is_the_string_behind_the_field_also_of_a_base() -> None:
    assert keys.field_sentences(AlgorithmConfig)["batch"] == "B, prompts per step."
    assert "name" in keys.field_sentences(PluginConfig)


def test_help_tells_what_overrides_lead_to() -> None:
    values = composed("budget=0.5", "seed=7")
    lines = list(as_text(config_groups(), values, width=200))
    assert "  seed (int; default 1; here 7)" in lines
    assert "  budget (float or null; default null; here 0.5)" in lines
    assert "  steps (int; default 150)" in lines
    assert all(len(line) <= 60 for line in as_text(config_groups(), None, width=60))


def test_the_help_of_run_shows_keys_values_and_exit_codes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.call(["run", "-m", "steps=9", "--help"]) == 0
    told = capsys.readouterr().out
    assert "steps (int; default 150; here 9)" in told
    assert "hydra.launcher.partition" in told
    assert "Exit codes: 0 done" in told.splitlines()[-2]


def test_the_help_of_run_tells_of_a_mistake_and_goes_back_to_the_defaults(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.call(["run", "steps=-1", "--help"]) == 0
    told = capsys.readouterr().out
    assert "because of: steps=-1 must be at least 1" in told
    assert "steps (int; default 150)" in told


def raising(error: BaseException) -> Callable[[], int]:
    """Work that ends with this error."""

    def work() -> int:
        raise error

    return work


def test_a_misspelt_key_is_one_message_that_guesses_the_right_one() -> None:
    done = rlavr("run", "stepz=3")
    assert (done.returncode, done.stdout) == (2, "")
    assert "did you mean steps?" in done.stderr
    assert "+stepz" not in done.stderr


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("data.train", "data.path"),
        ("data.test", "data.eval_path"),
        ("labels.key", "labels.key_variable"),
        ("stepz", "steps"),
    ],
)
def test_a_key_of_another_name_is_guessed(typed: str, meant: str) -> None:
    error = ValueError(f"Could not override '{typed}'.")
    assert f"did you mean {meant}" in _readable(error, error)


def test_options_of_hydra_that_exclude_each_other_are_one_message() -> None:
    done = rlavr("run", "-m", "--cfg", "job")
    assert done.returncode == 2
    assert done.stderr.startswith("rlavr: Only one of")
    assert len(done.stderr.splitlines()) == 1


def test_what_a_run_refuses_is_said_without_words_of_hydras() -> None:
    done = rlavr("run", "steps=-1")
    assert (done.returncode, done.stderr) == (2, "rlavr: steps=-1 must be at least 1\n")
