"""What a run would lack on a node without network, found out without asking any."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from rlavr_hpc.config.data import FILE_KINDS, DataConfig
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.offline import hub
from rlavr_hpc.offline.hub_data import hub_data_set

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""As Transformers looks for them; each whole, or in the shards that FILE.index.json names."""
TOKENIZER = ("tokenizer*", "vocab*", "spiece*", "*.tiktoken", "tekken.json", "tokenization*.py")
"""A model's folder has at least one of these."""
ORIGINS = {
    "dapo-math-17k.parquet": ("BytedTsinghua-SIA/DAPO-Math-17k", "data/dapo-math-17k.parquet"),
    "aime24.parquet": ("BytedTsinghua-SIA/AIME-2024", "data/aime-2024.parquet"),
}
"""The shipped experiments' data files: data set on the hub, and file in it."""
PLAIN = re.compile(r"[\w./:@%+-]+")
"""Values that neither Hydra nor a shell reads anything into."""


def missing_inputs(*configs: RunConfig, cache: Path | None = None) -> list[str]:
    """What these runs would lack without network, each line with its way out.

    A testbed's model is none of it: a node makes it by itself. Each model and file is looked at
    once, however many runs name it.

    Args:
        configs: of the runs.
        cache: the hub's; None = where this process's environment says.

    Returns:
        One line per missing thing; empty when all is there.
    """
    where = hub.cache_folder() if cache is None else cache
    models = {
        config.model.path: None
        for config in configs
        if not config.model.built_here and config.model.path
    }
    files = {file: config for config in reversed(configs) for file in data_files(config.data)}
    lines = [_model_line(path, where) for path in models]
    lines += [_data_line(file, config, where) for file, config in files.items()]
    return [line for line in lines if line]


def data_files(config: DataConfig) -> list[str]:
    """The files that a run reads its prompts from."""
    if config.kind not in FILE_KINDS:
        return []
    return [path for path in (config.path, config.eval_path) if path]


def on_hub(path: str) -> bool:
    """Whether this `model.path` is a hub name; else it is a folder, be it there or not."""
    if Path(path).expanduser().exists():
        return False
    return not path.startswith((".", "/", "~")) and path.count("/") <= 1


def folder_fault(path: str) -> str | None:
    """What is wrong with a `model.path` that names a folder, and the way out; None: nothing."""
    folder = Path(path).expanduser()
    if not folder.is_dir():
        return (
            f"model.path={path} does not exist; put the model there, or name another (a name on "
            "the hub looks like Qwen/Qwen3-4B)"
        )
    lacks = lacking(folder)
    return lacks and f"model.path={path} has no whole {lacks}; copy the model again"


def lacking(folder: Path) -> str | None:
    """What a model's folder lacks, or has half of; None when the model can be loaded."""
    if not (folder / "config.json").is_file():
        return "config.json"
    if not any(path.is_file() for pattern in TOKENIZER for path in folder.glob(pattern)):
        return "tokenizer"
    for name in WEIGHTS:
        index = folder / f"{name}.index.json"
        if (folder / name).is_file():
            return _first_broken(folder, [name])
        if index.is_file():
            return _first_broken(folder, _shards(index)) or None
    return "weights"


def _shards(index: Path) -> list[str]:
    """The files that an index names, itself where it names none."""
    try:
        return sorted(set(json.loads(index.read_text())["weight_map"].values())) or [index.name]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return [index.name]


def _first_broken(folder: Path, names: list[str]) -> str | None:
    return next((name for name in names if not _is_whole(folder / name)), None)


def _is_whole(path: Path) -> bool:
    """Whether a file of weights is there, and as long as its own header says."""
    if path.suffix != ".safetensors":
        return path.is_file() and path.suffix != ".json"
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > path.stat().st_size:
                return False
            header = json.loads(file.read(length))
        ends = [entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"]
        return path.stat().st_size == 8 + length + max(ends, default=0)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return False


def _model_line(path: str, cache: Path) -> str | None:
    if not on_hub(path):
        return folder_fault(path)
    folder = hub.cached_model(path, cache)
    lacks = None if folder is None else lacking(folder)
    if folder is not None and lacks is None:
        return None
    state = f"is not in {cache}" if folder is None else f"has no whole {lacks} in {folder}"
    return f"model {path} {state}; bring it: {fetch_command(('model.path', path))}"


def data_is_there(file: str, cache: Path) -> bool:
    """Whether a `data.path` can be read on this machine without network."""
    named = hub_data_set(file)
    if named is None:
        return Path(file).expanduser().exists()
    folder = hub.cached_data_set(named.repository, cache)
    return folder is not None and (folder / named.inside).exists()


def _data_line(file: str, config: RunConfig, cache: Path) -> str | None:
    if data_is_there(file, cache):
        return None
    if Path(file).name not in ORIGINS and hub_data_set(file) is None:
        return f"data file {file} does not exist; put it there, or name another"
    data = config.data
    command = fetch_command(
        ("model.path", config.model.path),
        ("data", data.kind),
        ("data.path", data.path),
        ("data.eval_path", data.eval_path),
    )
    return f"data file {file} does not exist; bring it: {command}"


def fetch_command(*given: tuple[str, str | None]) -> str:
    """The command that brings what these keys and values name, ready for a shell."""
    overrides = [f"{key}={_quoted(value)}" for key, value in given if value]
    return " ".join(["rlavr fetch", *map(shlex.quote, overrides)])


def _quoted(value: str) -> str:
    """As Hydra wants a value: in quotes, backslashes count only before one."""
    if PLAIN.fullmatch(value):
        return value
    inner = re.sub(r"(\\*)'", lambda found: 2 * found[1] + "\\'", value)
    return "'" + re.sub(r"(\\+)$", lambda found: 2 * found[1], inner) + "'"
