"""What a model's folder must hold, by its files alone. No torch, nothing is loaded.

The trainer, evaluation and export check here before they import anything slow; what only the
architecture's own code knows is checked behind, in `architecture`.
"""

from __future__ import annotations

from pathlib import Path

from rlavr_hpc.config.model import ModelConfig
from rlavr_hpc.errors import UserError
from rlavr_hpc.trainer.model_folder.file_faults import DOWNLOAD, check_content, read_object
from rlavr_hpc.trainer.model_folder.weight_files import OTHER_FORMS, read_weight_files

CONFIG, ADAPTER = "config.json", "adapter_config.json"
TOKENIZERS = ("tokenizer.json", "tekken.json", "vocab.txt", "*.model", "*.tiktoken")
"""Files of which a tokenizer needs one."""
PAIR = ("vocab.json", "merges.txt")
"""Or these two."""
OWN_TOKENIZER = "tokenization_*.py"
"""Or a tokenizer of the model's own, which may need none of them."""


def check_model(model: ModelConfig) -> None:
    """Check the folder that the config names; a hub name is checked when its files are here.

    Raises:
        UserError: there is no such folder, or it holds no whole model.
    """
    if model.built_here or model.path is None:
        return
    folder = Path(model.path).expanduser()
    if folder.is_dir():
        check_model_folder(folder)
    elif folder.exists():
        raise UserError(f"model.path={model.path} is a file{_kind(folder)}; name a model's folder")
    elif model.path.startswith((".", "/", "~")) or model.path.count("/") > 1:  # no hub name
        raise UserError(f"model.path={model.path} does not exist")


def check_model_folder(folder: Path) -> None:
    """Check config, tokenizer and weights of a folder in Hugging Face format.

    Raises:
        UserError: a file is missing, cut short, a Git LFS pointer or otherwise none of a model's.
    """
    try:
        _check_config(folder)
        _check_tokenizer(folder)
        read_weight_files(folder)
    except OSError as error:
        raise UserError(
            f"{error.filename or folder} cannot be read: {error.strerror}; check the model's folder"
        ) from error


def _check_config(folder: Path) -> None:
    path = folder / CONFIG
    if not path.exists():
        raise UserError(f"{folder} is no model's folder, it has no {CONFIG}{_instead(folder)}")
    values = read_object(path)
    if not values.get("model_type") and "auto_map" not in values:
        raise UserError(
            f"{path} names no model_type, so it is not the config of a Hugging Face model; "
            f"{DOWNLOAD}"
        )


def _check_tokenizer(folder: Path) -> None:
    found = [path for pattern in TOKENIZERS for path in folder.glob(pattern)]
    if not found and not any(folder.glob(OWN_TOKENIZER)):
        missing = [name for name in PAIR if not (folder / name).exists()]
        if missing:
            raise UserError(
                f"{folder} holds no tokenizer (neither tokenizer.json, nor tokenizer.model, nor "
                f"{' with '.join(PAIR)}); copy the tokenizer's files of the model it was made from "
                "into it"
            )
    named = ("vocab.json", "tokenizer_config.json", "generation_config.json")
    for path in (*found, *(folder / name for name in named if (folder / name).exists())):
        if path.suffix == ".json":
            read_object(path)
        else:
            check_content(path)


def _instead(folder: Path) -> str:
    """What the folder is instead, and what to name."""
    if (folder / ADAPTER).exists():
        base = read_object(folder / ADAPTER).get("base_model_name_or_path")
        return (
            f": it holds adapters of {base}; merge them into whole weights first (`rlavr export "
            "RUN` does for a run)"
        )
    if (folder / "MANIFEST.json").exists() or (folder / "config.yaml").exists():
        return ": it belongs to a run; `rlavr export RUN --out DIR` makes a model's folder of it"
    below = sorted(path.parent.name for path in folder.glob(f"*/{CONFIG}"))
    if below:
        return f", but {folder / below[0]} has one; name that"
    files = [path for path in sorted(folder.iterdir()) if path.suffix in OTHER_FORMS]
    return _kind(files[0]) if files else "; download the whole model"


def _kind(path: Path) -> str:
    other = OTHER_FORMS.get(path.suffix)
    return f": {path.name} is {other}" if other else ""
