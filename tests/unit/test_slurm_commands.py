"""What Slurm's programs are told, and not told."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlavr_hpc.cluster.slurm import commands


def test_what_the_user_has_set_for_slurms_programs_does_not_change_their_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "squeue").write_text("#!/bin/sh\nenv >&2; env\n")
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    gone = ("SQUEUE_STATES", "SBATCH_PARTITION", "SLURM_TIME_FORMAT", "SLURM_JOB_ID", "RANK")
    kept = ("SLURM_CONF", "WANDB_API_KEY", "HOME")
    for name in (*gone, *kept):
        monkeypatch.setenv(name, "x")
    said = {line.partition("=")[0] for line in commands.call("squeue").splitlines()}
    assert set(kept) <= said
    assert not set(gone) & said


def test_a_program_that_is_not_there_says_what_that_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(commands.SlurmError, match="not a node of a Slurm cluster"):
        commands.call("squeue")
