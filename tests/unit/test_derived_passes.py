"""How much a forward pass holds where the config leaves it to the plan, and the verdict."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from rlavr_hpc.cli import call
from rlavr_hpc.cluster.topology import Topology, read_topology
from rlavr_hpc.commands.plan import sizes_of
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.errors import UserError
from rlavr_hpc.planning import devices
from rlavr_hpc.planning.derive import PassSettings, choose, derived, leaves_open, named, unplanned
from rlavr_hpc.planning.devices import FoundGpu, find_gpus, machine_gib, read_gpus
from rlavr_hpc.planning.fit import shortages
from rlavr_hpc.planning.verdict import verdict
from rlavr_hpc.runs.attempts import publish_attempt
from rlavr_hpc.runs.folder import open_run_folder, read_config
from rlavr_hpc.runs.identity import changed_keys, hash8, to_dict
from rlavr_hpc.runs.provenance import write_provenance
from rlavr_hpc.telemetry.sinks import MetricsFile
from rlavr_hpc.trainer import memory_check
from rlavr_hpc.trainer.memory_check import as_record, check_memory, recorded
from rlavr_hpc.types import StepKey
from tests.support.configs import composed

QWEN = ("model=Qwen/Qwen3-4B",)
SMALL = {
    "model_type": "llama",
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "vocab_size": 49152,
    "tie_word_embeddings": True,
}
"""SmolLM2-135M."""
ALONE = read_topology({}, threads=1, runs_per_node=1)
BEFORE = PassSettings(micro_batch=None, micro_tokens=6000, gradient_checkpointing=True)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").write_text(json.dumps(SMALL))
    return tmp_path / "model"


def own(model: Path, *more: str) -> RunConfig:
    return composed("model=pretrained", f"model.path={model}", "data=knights", *more)


def machine(monkeypatch: pytest.MonkeyPatch, *, gpus: list[FoundGpu] | None, gib: float) -> None:
    monkeypatch.setattr(memory_check, "find_gpus", lambda environment: gpus)
    monkeypatch.setattr(memory_check, "machine_gib", lambda environment: gib)


# --- choosing --------------------------------------------------------------------------------


def test_the_defaults_fit_a_4b_model_on_eight_h100(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["plan", "model=pretrained", "model.path=Qwen/Qwen3-4B", "data=knights", "gpus=8"]
    assert call(command) == 0
    printed = capsys.readouterr().out
    assert "algorithm.micro_tokens=32768 deepspeed.gradient_checkpointing=true" in printed
    assert printed.rstrip().endswith("fits")


@pytest.mark.parametrize("place", ["gpus=8", "gpus=4 gpu=h200", "nodes=2 gpus=4 gpu=a100-80"])
def test_what_is_chosen_fits_and_twice_as_much_would_not_or_gains_nothing(place: str) -> None:
    sizes = sizes_of([*QWEN, *place.split()])
    chosen = choose(sizes)
    assert chosen.micro_tokens is not None
    assert not shortages(derived(sizes))
    double = replace(chosen, micro_tokens=2 * chosen.micro_tokens)
    more = replace(sizes, config=double.applied(sizes.config))
    assert shortages(more) or chosen.micro_tokens == 32768


def test_activations_are_kept_where_there_is_room() -> None:
    assert choose(sizes_of(["model=Qwen/Qwen3-0.6B"])).gradient_checkpointing is False
    assert choose(sizes_of([*QWEN, "gpus=8"])).gradient_checkpointing is True


def test_what_is_set_stays_as_it_is() -> None:
    sizes = sizes_of([*QWEN, "gpus=8", "algorithm.micro_batch=3"])
    assert (choose(sizes).micro_batch, choose(sizes).micro_tokens) == (3, None)
    assert choose(sizes).gradient_checkpointing is True
    both = ["algorithm.micro_tokens=9000", "deepspeed.gradient_checkpointing=true"]
    told = sizes_of([*QWEN, *both]).config
    assert not leaves_open(told)
    assert asdict(named(told)) == {
        "micro_batch": None,
        "micro_tokens": 9000,
        "gradient_checkpointing": True,
    }


def test_where_a_pass_is_not_what_is_too_large_it_is_not_made_small() -> None:
    sizes = sizes_of(["model=Qwen/Qwen3-0.6B", "rollout.gpu_memory_utilization=0.01"])
    assert [one.what for one in shortages(derived(sizes))] == [
        "vLLM's weights and the cache of one sequence"
    ]
    assert choose(sizes).micro_tokens == choose(sizes_of(["model=Qwen/Qwen3-0.6B"])).micro_tokens


def test_a_model_that_nobody_counted_gets_careful_settings() -> None:
    config = sizes_of(list(QWEN)).config
    assert unplanned(config) == PassSettings(
        micro_batch=None, micro_tokens=8192, gradient_checkpointing=True
    )


def test_the_testbed_leaves_nothing_open() -> None:
    config = composed()
    assert not leaves_open(config)
    assert named(config).micro_batch == 512
    assert composed("algorithm.micro_batch=null").algorithm.micro_batch == 512


# --- identity --------------------------------------------------------------------------------


def test_a_run_is_the_same_whether_it_left_open_what_the_older_default_said(model: Path) -> None:
    older = own(model, "algorithm.micro_batch=64", "deepspeed.gradient_checkpointing=false")
    now = own(model)
    assert to_dict(now)["algorithm"]["micro_batch"] is None
    assert hash8(now) == hash8(older)
    assert changed_keys(older, now) == {}
    assert hash8(own(model, "algorithm.micro_tokens=8192")) != hash8(now)


def test_mini_batch_follows_batch_and_names_the_same_run() -> None:
    small = composed("algorithm.batch=4")
    assert (small.algorithm.mini_batch, small.updates_per_step) == (4, 1)
    assert hash8(small) == hash8(composed("algorithm.batch=4", "algorithm.mini_batch=4"))
    assert hash8(composed()) == hash8(composed("algorithm.mini_batch=64"))
    with pytest.raises(UserError, match="leave mini_batch out"):
        composed("algorithm.batch=4", "algorithm.mini_batch=64")


# --- at the start of a run -------------------------------------------------------------------


def test_a_start_logs_the_verdict(
    model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    machine(monkeypatch, gpus=[], gib=24)
    caplog.set_level(logging.INFO, logger="rlavr_hpc")
    monkeypatch.setattr(logging.getLogger("rlavr_hpc"), "propagate", True)
    passes = check_memory(own(model), model / "no", ALONE, {})
    assert passes.micro_tokens == 5024
    assert "134.5 million parameters on 1 rank on CPU with 24.0 GiB" in caplog.text
    assert "; fits" in caplog.text


@pytest.mark.parametrize(
    ("gpus", "gib", "more", "key"),
    [
        ([], 24, ("rollout=hf",), r"rollout\.max_sequences="),
        ([FoundGpu(name="P4", memory_gib=6)], 99, (), r"it fits[^:]*: \S+="),
        ([], 2.5, (), "no setting tried|learns otherwise|on .* nodes"),
    ],
)
def test_what_cannot_fit_is_refused_with_the_keys_that_mend_it(
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    gpus: list[FoundGpu],
    gib: float,
    more: tuple[str, ...],
    key: str,
) -> None:
    machine(monkeypatch, gpus=gpus, gib=gib)
    with pytest.raises(UserError, match=f"(?s)does not fit the memory here: .*{key}"):
        check_memory(own(model, *more), model / "no", ALONE, {})
    check_memory(own(model, *more, "cluster.check_memory=false"), model / "no", ALONE, {})


def test_what_mends_it_mends_it(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, gpus=[], gib=24)
    with pytest.raises(UserError) as told:
        check_memory(own(model, "rollout=hf"), model / "no", ALONE, {})
    line = next(one for one in str(told.value).splitlines() if "with this it fits: " in one)
    advice = line.split("fits: ")[1].split()
    check_memory(own(model, "rollout=hf", *advice), model / "no", ALONE, {})


def test_beside_a_gpu_the_hosts_memory_is_told_and_not_judged(model: Path) -> None:
    sizes = derived(sizes_of([f"model={model}", "host_gib=4"]))
    told = verdict(sizes, named(sizes.config))
    assert told.refusal == ""
    assert any("host memory" in line and "not judged" in line for line in told.lines)


def test_a_gpu_of_which_nothing_is_known_is_not_judged(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, gpus=None, gib=24)
    assert check_memory(own(model), model / "no", ALONE, {}).micro_tokens == 8192


def test_ranks_of_a_node_share_its_memory(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, gpus=[], gib=24)
    four = Topology(rank=0, world_size=4, local_rank=0, local_world_size=2, threads=1)
    told = memory_check.machines_of(own(model, "cluster.runs_per_node=2"), four, {})
    assert (told.nodes, told.gpus, told.host_gib) == (2, 2, 12)
    gpus = [FoundGpu(name="A", memory_gib=40), FoundGpu(name="B", memory_gib=80)]
    machine(monkeypatch, gpus=gpus, gib=24)
    told = memory_check.machines_of(own(model), replace(four, local_rank=1), {})
    assert (told.gpu, told.accelerator and told.accelerator.memory_gib) == ("B", 80)


def test_the_most_careful_rank_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    from rlavr_hpc.trainer import agree_passes, distributed

    large = replace(BEFORE, micro_tokens=9000)
    fast = replace(large, gradient_checkpointing=False)
    for ranks, wanted in (([large, BEFORE], BEFORE), ([fast, large], large)):
        monkeypatch.setattr(distributed, "gather_lists", lambda mine, r=ranks: [r])
        assert agree_passes.agree(ranks[0]) == wanted


# --- later starts ----------------------------------------------------------------------------


def started(folder: Path, config: RunConfig, **facts: object) -> None:
    open_run_folder(folder, config)
    publish_attempt(folder, resumed_from=0, after=0, setup={}, branch=0)
    write_provenance(folder, 1, dict(facts))


def test_a_resumed_run_takes_what_is_on_record(
    model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine(monkeypatch, gpus=[], gib=24)
    config = own(model)
    assert recorded(config, tmp_path / "run") is None
    started(tmp_path / "run", config, **as_record(BEFORE))
    assert check_memory(config, tmp_path / "run", ALONE, {}) == BEFORE


def test_a_run_that_has_done_steps_goes_on_and_is_told_how_to_with_less(
    model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setattr(logging.getLogger("rlavr_hpc"), "propagate", True)
    machine(monkeypatch, gpus=[], gib=24)
    config, folder = own(model, "rollout=hf"), tmp_path / "run"
    started(folder, config, **as_record(BEFORE))
    advice = rf"run_dir={folder} and allow_change=\[KEY,\.\.\.\]"
    file = MetricsFile(folder, 1, fence=lambda: None)
    file.write(StepKey(seed=1, step=0), {})
    with pytest.raises(UserError, match=advice):
        check_memory(config, folder, ALONE, {})
    file.write(StepKey(seed=1, step=1), {})
    assert check_memory(config, folder, ALONE, {}) == BEFORE
    assert "does not fit the memory here" in caplog.text
    assert re.search(advice, caplog.text)


def test_what_is_set_now_goes_before_the_record(model: Path, tmp_path: Path) -> None:
    started(tmp_path / "run", own(model), **as_record(BEFORE))
    told = recorded(own(model, "algorithm.micro_batch=2"), tmp_path / "run")
    assert told == PassSettings(micro_batch=2, micro_tokens=None, gradient_checkpointing=True)


def test_a_run_of_a_version_that_chose_nothing_keeps_its_settings(
    model: Path, tmp_path: Path
) -> None:
    older = own(model, "algorithm.micro_batch=64", "deepspeed.gradient_checkpointing=false")
    started(tmp_path / "run", older)
    assert recorded(own(model), tmp_path / "run") == named(older)


def test_a_run_that_was_submitted_and_never_started_is_new(model: Path, tmp_path: Path) -> None:
    open_run_folder(tmp_path / "run", own(model))
    assert recorded(own(model), tmp_path / "run") is None


def test_a_folder_that_is_opened_again_keeps_what_its_run_began_with(
    model: Path, tmp_path: Path
) -> None:
    older = own(model, "algorithm.micro_batch=64", "deepspeed.gradient_checkpointing=false")
    started(tmp_path / "run", older)
    for _ in range(2):  # a launcher's, then the attempt's own
        open_run_folder(tmp_path / "run", own(model))
        assert recorded(read_config(tmp_path / "run"), tmp_path / "run") == named(older)
    open_run_folder(tmp_path / "run", own(model, "algorithm.micro_batch=2"))
    assert read_config(tmp_path / "run").algorithm.micro_batch == 2


def test_a_run_that_never_began_holds_to_nothing(model: Path, tmp_path: Path) -> None:
    open_run_folder(tmp_path / "run", own(model, "algorithm.micro_batch=64"))
    open_run_folder(tmp_path / "run", own(model))
    assert leaves_open(read_config(tmp_path / "run"))


# --- what a machine has ----------------------------------------------------------------------

LISTED = """\
0, GPU-aaa1, NVIDIA H100 80GB HBM3, 81559
1, GPU-bbb2, NVIDIA A100-SXM4-40GB, 40960
2, GPU-ccc3, NVIDIA GH200, [N/A]
"""


@pytest.mark.parametrize(
    ("visible", "names"),
    [
        (None, ["NVIDIA H100 80GB HBM3", "NVIDIA A100-SXM4-40GB"]),
        ("1", ["NVIDIA A100-SXM4-40GB"]),
        ("1,0", ["NVIDIA A100-SXM4-40GB", "NVIDIA H100 80GB HBM3"]),
        ("GPU-bbb", ["NVIDIA A100-SXM4-40GB"]),
        ("0,7,1", ["NVIDIA H100 80GB HBM3"]),
        ("-1", []),
    ],
)
def test_gpus_are_those_that_torch_would_see(visible: str | None, names: list[str]) -> None:
    assert [gpu.name for gpu in read_gpus(LISTED, visible)] == names
    assert read_gpus(LISTED, None)[0].memory_gib == pytest.approx(79.65, abs=0.01)


def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(devices, "torch_knows_gpus", lambda: True)
    monkeypatch.setattr(devices, "DRIVER", tmp_path)


def test_the_driver_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver(tmp_path, monkeypatch, "echo '0, GPU-a, NVIDIA L40S, 46068'")
    found = find_gpus({})
    assert found is not None
    assert [gpu.name for gpu in found] == ["NVIDIA L40S"]
    assert find_gpus({"CUDA_VISIBLE_DEVICES": ""}) == []
    assert find_gpus({"CUDA_VISIBLE_DEVICES": "MIG-GPU-a/1/0"}) is None


def test_a_driver_that_does_not_answer_is_no_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver(tmp_path, monkeypatch, "exit 9")
    assert find_gpus({}) is None
    monkeypatch.setattr(devices, "DRIVER", tmp_path / "none")
    assert find_gpus({}) == []


def test_a_torch_without_gpus_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "torch_knows_gpus", lambda: False)
    monkeypatch.setattr(devices, "QUERY", ("no-such-program",))
    assert find_gpus({}) == []


def test_memory_is_what_slurm_and_the_control_group_leave(tmp_path: Path) -> None:
    assert machine_gib({"SLURM_MEM_PER_NODE": "512"}) == 0.5
    assert machine_gib({"SLURM_MEM_PER_NODE": "0"}) > 0.5
    (tmp_path / "self").write_text("0::/job/step\n")
    (tmp_path / "job/step").mkdir(parents=True)
    (tmp_path / "job/step/memory.max").write_text("max\n")
    (tmp_path / "job/memory.max").write_text("3221225472\n")
    assert devices._cgroup_limits(tmp_path / "self", tmp_path) == [3 * 2**30]
    (tmp_path / "self").write_text("7:cpu,memory:/job\n4:pids:/\n")
    (tmp_path / "memory/job").mkdir(parents=True)
    (tmp_path / "memory/job/memory.limit_in_bytes").write_text("1073741824\n")
    assert devices._cgroup_limits(tmp_path / "self", tmp_path) == [2**30]
    assert devices._cgroup_limits(tmp_path / "nowhere", tmp_path) == []
