from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from rlavr_hpc.cluster.job_caches import COMPILED, job_environment, setup_lines, teardown_lines
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.offline.hub import FilesToFetch, wanted_files
from rlavr_hpc.offline.missing_inputs import fetch_command, lacking, missing_inputs
from tests.support.configs import composed

COMMIT = "a" * 40
QWEN = ("model=pretrained", "model.path=Qwen/Qwen3-4B", "data=knights")
INDEX = "model.safetensors.index.json"


def safetensors(path: Path, *, size: int = 8, kept: int | None = None) -> None:
    """A file with one tensor; `kept` bytes of it."""
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    path.write_bytes((len(header).to_bytes(8, "little") + header + bytes(size))[:kept])


def make_model(folder: Path, *, shards: Iterable[str] = ("1.safetensors", "2.safetensors")) -> Path:
    folder.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json"):
        (folder / name).write_text("{}")
    names = {f"layer.{i}": shard for i, shard in enumerate(shards)}
    (folder / INDEX).write_text(json.dumps({"weight_map": names}))
    for shard in shards:
        safetensors(folder / shard)
    return folder


def cached_qwen(cache: Path) -> Path:
    """The hub's layout: a reference names the commit whose snapshot counts."""
    home = cache / "models--Qwen--Qwen3-4B"
    (home / "refs").mkdir(parents=True)
    (home / "refs/main").write_text(COMMIT)
    return make_model(home / "snapshots" / COMMIT)


def test_a_model_on_the_hub_is_missing_until_every_shard_is_in_the_cache(tmp_path: Path) -> None:
    config = composed(*QWEN)
    (line,) = missing_inputs(config, cache=tmp_path)
    assert line == (
        f"model Qwen/Qwen3-4B is not in {tmp_path}; bring it: rlavr fetch model.path=Qwen/Qwen3-4B"
    )
    folder = cached_qwen(tmp_path)
    assert missing_inputs(config, cache=tmp_path) == []
    (folder / "2.safetensors").unlink()
    (line,) = missing_inputs(config, cache=tmp_path)
    assert f"has no whole 2.safetensors in {folder}; bring it: rlavr fetch" in line


def test_a_snapshot_that_main_no_longer_names_does_not_count(tmp_path: Path) -> None:
    cached_qwen(tmp_path)
    (tmp_path / "models--Qwen--Qwen3-4B/refs/main").write_text("b" * 40)
    assert len(missing_inputs(composed(*QWEN), cache=tmp_path)) == 1


@pytest.mark.parametrize(
    ("name", "content", "lacks"),
    [
        ("config.json", None, "config.json"),
        ("tokenizer.json", None, "tokenizer"),
        (INDEX, None, "weights"),
        (INDEX, "{", INDEX),
        (INDEX, "[]", INDEX),
        (INDEX, '{"weight_map": {}}', INDEX),
        ("1.safetensors", None, "1.safetensors"),
        ("2.safetensors", "", "2.safetensors"),
        ("2.safetensors", "no weights", "2.safetensors"),
    ],
)
def test_a_folder_lacks_what_is_gone_or_broken(
    tmp_path: Path, name: str, content: str | None, lacks: str
) -> None:
    folder = make_model(tmp_path / "model")
    assert lacking(folder) is None
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_text(content)
    assert lacking(folder) == lacks


@pytest.mark.parametrize("kept", [4, 20, -1])
def test_weights_that_are_cut_off_are_broken(tmp_path: Path, kept: int) -> None:
    folder = make_model(tmp_path / "model")
    safetensors(folder / "1.safetensors", kept=kept)
    assert lacking(folder) == "1.safetensors"


def test_weights_in_one_file_are_enough_and_pickled_ones_are_where_there_are_no_others(
    tmp_path: Path,
) -> None:
    folder = make_model(tmp_path / "model", shards=())
    safetensors(folder / "model.safetensors")
    assert lacking(folder) is None
    (folder / "model.safetensors").unlink()
    (folder / INDEX).unlink()
    (folder / "pytorch_model.bin").write_text("pickled")
    assert lacking(folder) is None


def test_a_link_to_a_file_that_is_gone_is_no_file(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "model")
    (folder / "1.safetensors").rename(tmp_path / "blob")
    (folder / "1.safetensors").symlink_to(tmp_path / "blob")
    assert lacking(folder) is None
    (tmp_path / "blob").unlink()
    assert lacking(folder) == "1.safetensors"


def test_a_folder_that_does_not_exist_or_is_not_whole_is_missing(tmp_path: Path) -> None:
    given = ("model=pretrained", "data=knights", f"model.path={tmp_path}/model")
    (line,) = missing_inputs(composed(*given), cache=tmp_path)
    assert line.startswith(f"model.path={tmp_path}/model does not exist; put the model there")
    folder = make_model(tmp_path / "model")
    assert missing_inputs(composed(*given), cache=tmp_path) == []
    (folder / "1.safetensors").unlink()
    (line,) = missing_inputs(composed(*given), cache=tmp_path)
    assert "has no whole 1.safetensors; copy the model again" in line


def test_the_testbed_lacks_nothing(tmp_path: Path) -> None:
    assert missing_inputs(composed(), cache=tmp_path) == []


def test_data_files_are_missing_until_they_exist(tmp_path: Path) -> None:
    files = tmp_path / "dapo-math-17k.parquet", tmp_path / "mine.parquet"
    config = composed(
        "model=testbed", "data=parquet", f"data.path={files[0]}", f"data.eval_path={files[1]}"
    )
    first, second = missing_inputs(config, cache=tmp_path)
    command = f"rlavr fetch data=parquet data.path={files[0]} data.eval_path="
    assert first == f"data file {files[0]} does not exist; bring it: {command}{files[1]}"
    assert second == f"data file {files[1]} does not exist; put it there, or name another"
    for file in files:
        file.touch()
    assert missing_inputs(config, cache=tmp_path) == []


def test_what_two_hundred_runs_name_is_looked_at_and_told_once(tmp_path: Path) -> None:
    folder = cached_qwen(tmp_path)
    opened: list[str] = []
    watching = True

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event == "open":
            opened.append(str(arguments[0]))

    config = composed(*QWEN)
    configs: list[RunConfig] = [config] * 200
    sys.addaudithook(watch)
    found = missing_inputs(*configs, cache=tmp_path)
    watching = False
    assert found == []
    assert opened.count(str(folder / INDEX)) == 1
    (folder / "1.safetensors").unlink()
    other = composed(*QWEN[:1], "model.path=./nowhere", "data=knights")
    assert len(missing_inputs(*configs, other, *configs, cache=tmp_path)) == 2


def test_safetensors_are_wanted_and_neither_pickles_nor_other_programs_copies() -> None:
    names = [
        "README.md",
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "merges.txt",
        "chat_template.jinja",
        "modeling_x.py",
        "parts/layers.py",
        INDEX,
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "consolidated.safetensors",
        "pytorch_model.bin",
        "original/params.json",
        "original/consolidated.00.pth",
        "onnx/model.onnx",
        "tf_model.h5",
        "optimizer.bin",
        "templates/tool_use.jinja",
        "x/model.safetensors",
    ]
    assert wanted_files(names) == FilesToFetch(
        texts=(
            "chat_template.jinja",
            "config.json",
            "generation_config.json",
            "merges.txt",
            INDEX,
            "modeling_x.py",
            "parts/layers.py",
            "templates/tool_use.jinja",
            "tokenizer.json",
        ),
        weights=("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"),
    )
    pickled = [name for name in names if not name.endswith(".safetensors")]
    assert wanted_files(pickled).weights == ("pytorch_model.bin",)
    assert wanted_files(["config.json", "adapter_model.safetensors"]).weights == ()


@pytest.mark.parametrize(
    "path", ["x/y.parquet", "a file, with 'all' {signs}=$x\\.parquet", "\\'\\"]
)
def test_a_command_that_is_told_survives_the_shell_and_hydra(path: str) -> None:
    command = fetch_command(("data", "parquet"), ("data.path", path), ("data.eval_path", None))
    words = shlex.split(command)
    assert words[:2] == ["rlavr", "fetch"]
    assert composed(*words[2:]).data.path == path


def after_setup(
    script: str, environment: Mapping[str, str], *, offline: bool = True
) -> subprocess.CompletedProcess[str]:
    """What a batch script with the lines prints on a node with this environment."""
    lines = ["set -euo pipefail", *setup_lines(offline), script]
    return subprocess.run(
        ["bash", "-c", "\n".join(lines)],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"], **environment},
    )


def exported(**environment: str) -> dict[str, str]:
    lines = after_setup("env", environment).stdout.splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_a_job_compiles_on_its_nodes_disk_and_asks_no_hub(tmp_path: Path) -> None:
    found = exported(SLURM_TMPDIR=str(tmp_path), SLURM_JOB_ID="12", SLURM_NNODES="1")
    home = tmp_path / f"rlavr_hpc-{os.getuid()}-12"
    assert {name: found[name] for name in COMPILED} == {
        "TORCHINDUCTOR_CACHE_DIR": f"{home}/torchinductor",
        "TRITON_CACHE_DIR": f"{home}/triton",
        "VLLM_CACHE_ROOT": f"{home}/vllm",
    }
    assert home.stat().st_mode & 0o777 == 0o700
    fixed = job_environment(offline=True)
    assert fixed.items() <= found.items()
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"):
        assert fixed[name] == "1"
    online = after_setup("env", {"TMPDIR": str(tmp_path)}, offline=False).stdout
    assert "OFFLINE" not in online
    assert f"VLLM_CACHE_ROOT={tmp_path}/rlavr_hpc-" in online


def test_what_the_user_has_set_stays(tmp_path: Path) -> None:
    mine = {"HF_HUB_OFFLINE": "0", "VLLM_CACHE_ROOT": "/mine", "HF_HUB_CACHE": "/models"}
    found = exported(**mine, TMPDIR=str(tmp_path))
    assert mine.items() <= found.items()
    assert found["TRITON_CACHE_DIR"].startswith(str(tmp_path))


def test_a_requeued_job_finds_its_folder_again_and_another_job_has_another(tmp_path: Path) -> None:
    def folder(job: str, nodes: str = "1") -> str:
        found = exported(TMPDIR=str(tmp_path), SLURM_JOB_ID=job, SLURM_NNODES=nodes)
        return found["RLAVR_NODE_CACHE"]

    assert folder("7") == folder("7") == f"{tmp_path}/rlavr_hpc-{os.getuid()}-7"
    assert folder("8") != folder("7")
    assert folder("9", nodes="2") != folder("9", nodes="2")


@pytest.mark.parametrize("kind", ["link", "file", "stranger"])
def test_a_folder_that_somebody_else_laid_there_is_not_used(tmp_path: Path, kind: str) -> None:
    trap = tmp_path / f"rlavr_hpc-{os.getuid()}-7"
    if kind == "link":
        (tmp_path / "elsewhere").mkdir()
        trap.symlink_to(tmp_path / "elsewhere")
    elif kind == "file":
        trap.touch()
    elif os.getuid() != 0:
        pytest.skip("only root can make another user's folder")
    else:
        trap.mkdir()
        os.chown(trap, 65534, 65534)
    found = exported(TMPDIR=str(tmp_path), SLURM_JOB_ID="7", SLURM_NNODES="1")
    used = Path(found["RLAVR_NODE_CACHE"])
    assert used != trap
    assert used.name.startswith(f"{trap.name}.")
    assert used.stat().st_mode & 0o777 == 0o700


def test_where_the_announced_disk_is_not_on_the_node_tmp_is_used(tmp_path: Path) -> None:
    script = f'echo "$RLAVR_NODE_CACHE"; {teardown_lines()[0]}'
    done = after_setup(script, {"TMPDIR": f"{tmp_path}/no"})
    folder = Path(done.stdout.strip())
    assert folder.parent == Path("/tmp")
    assert not folder.exists()
