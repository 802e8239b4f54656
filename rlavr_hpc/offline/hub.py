"""The Hugging Face hub and its cache on disk: the only importer of huggingface_hub.

The cache is where HF_HUB_CACHE or HF_HOME say. The hub's own code puts a file there only when it
has arrived whole, so a download that died is continued with the files that are still to come.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from glob import escape
from pathlib import Path

from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download
from huggingface_hub import try_to_load_from_cache as look_up
from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

from rlavr_hpc.errors import RlavrError, UserError
from rlavr_hpc.offline.hub_data import wanted_data_files

TEXTS = (".json", ".txt", ".model", ".jinja", ".tiktoken", ".py")
"""Config, tokenizer, templates, code."""
IN_FOLDERS = (".jinja", ".py")
"""Which of them count below a folder; there lie copies for other programs too (onnx/)."""
WEIGHTS = (("model", ".safetensors"), ("pytorch_model", ".bin"))
"""Beginning and end of weight files, the first kind that there is; `.bin` is pickled."""
UNFINISHED = "rlavr-unfinished"
"""A file in a data set's folder while it is being brought."""
ANSWER_SECONDS = 20.0
"""For the first word of the hub; a firewall that swallows packets would keep us for minutes."""


class HubError(RlavrError):
    """The hub cannot be reached, or broke off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesToFetch:
    """Files of a model's repository that a run reads."""

    texts: tuple[str, ...]
    weights: tuple[str, ...]


def cache_folder() -> Path:
    """Where the hub's files are kept on this machine."""
    return Path(constants.HF_HUB_CACHE)


def lock_file(name: str) -> Path:
    """Whose holder alone brings the repository `name` into the cache."""
    return cache_folder() / ".locks" / "rlavr_hpc" / f"{name.replace('/', '--')}.lock"


def cached_model(name: str, cache: Path) -> Path | None:
    """The model's folder in the cache, where at least its config.json is; asks no network."""
    try:
        found = look_up(name, "config.json", cache_dir=cache)
    except HFValidationError:
        return None
    return Path(found).parent if isinstance(found, str) else None


def wanted_files(names: Iterable[str]) -> FilesToFetch:
    """What to bring of a repository that holds these files."""
    names = sorted(names)
    texts = [n for n in names if n.endswith(IN_FOLDERS if "/" in n else TEXTS)]
    kinds = ([n for n in names if _is_weight(n, *kind)] for kind in WEIGHTS)
    return FilesToFetch(texts=tuple(texts), weights=tuple(next(filter(None, kinds), ())))


def _is_weight(name: str, beginning: str, end: str) -> bool:
    return "/" not in name and name.startswith(beginning) and name.endswith(end)


def bring_model(name: str) -> None:
    """Download a model's config, tokenizer, code and weights; whoever calls holds the lock.

    Weights come last: a cache that has them has everything else.

    Raises:
        UserError: there is no such model, it is closed to this user, or it has no weights.
        HubError: the hub cannot be reached, or the download broke off.
    """
    with _explained(f"model {name}"):
        info = HfApi().model_info(name, timeout=ANSWER_SECONDS)
        wanted = wanted_files(file.rfilename for file in info.siblings or ())
    if "config.json" not in wanted.texts or not wanted.weights:
        lacking = "weights" if "config.json" in wanted.texts else "config.json"
        raise UserError(f"{name} on {constants.ENDPOINT} has no {lacking}: no Transformers model")
    for files in (wanted.texts, wanted.weights):
        with _explained(f"model {name}"):
            folder = Path(snapshot_download(name, allow_patterns=[escape(f) for f in files]))
    _remove_leftovers(folder.parents[1] / "blobs")


def bring_data(repository: str, file: str) -> Path:
    """Download one file of a data set's repository into the cache.

    Raises:
        UserError: there is no such data set, or it is closed to this user.
        HubError: the hub cannot be reached, or the download broke off.
    """
    with _explained(f"{file} of data set {repository}"):
        return Path(hf_hub_download(repository, file, repo_type="dataset"))


def cached_data_set(name: str, cache: Path) -> Path | None:
    """A data set's folder in the cache; None where it is not, or a download of it broke off."""
    home = cache / f"datasets--{name.replace('/', '--')}"
    try:
        commit = (home / "refs" / "main").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    folder = home / "snapshots" / commit
    return folder if folder.is_dir() and not (home / UNFINISHED).exists() else None


def bring_data_set(name: str, inside: str) -> Path:
    """Download the files with rows of a data set's repository; whoever calls holds the lock.

    Args:
        name: of the repository.
        inside: folder or file in it that is wanted; "" = all.

    Raises:
        UserError: there is no such data set, it is closed to this user, or it has no such files.
        HubError: the hub cannot be reached, or the download broke off.
    """
    with _explained(f"data set {name}"):
        info = HfApi().dataset_info(name, timeout=ANSWER_SECONDS)
        files = wanted_data_files((file.rfilename for file in info.siblings or ()), inside)
    if not files:
        where = f"{name} on {constants.ENDPOINT}" + (f", {inside}" if inside else "")
        raise UserError(f"data set {where}: no parquet, Arrow, JSON or CSV file is there")
    mark = cache_folder() / f"datasets--{name.replace('/', '--')}" / UNFINISHED
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    with _explained(f"data set {name}"):
        folder = Path(
            snapshot_download(
                name, repo_type="dataset", allow_patterns=[escape(file) for file in files]
            )
        )
    mark.unlink(missing_ok=True)
    return folder


def _remove_leftovers(blobs: Path) -> None:
    """Halves that killed downloads left of files that are whole by now; nobody writes them."""
    for half in blobs.glob("*.incomplete"):
        if (blobs / half.name.partition(".")[0]).exists():
            half.unlink(missing_ok=True)


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn the hub's errors into ours."""
    if constants.HF_HUB_OFFLINE:
        raise UserError(
            f"{what} is not there, and HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE forbids to bring it; "
            "unset them, or set both to 0"
        )
    hub = constants.ENDPOINT
    try:
        yield
    except GatedRepoError as error:
        raise UserError(
            f"{what}: {hub} gives it only to those who have accepted its terms; accept them on its "
            "page, then log in with `hf auth login` or set HF_TOKEN"
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise UserError(
            f"{what}: there is none on {hub} (or it is private: log in with `hf auth login` or set "
            f"HF_TOKEN); a folder on disk is named by a path with ./ or / in front"
        ) from error
    except Exception as error:  # its HTTP library and its Xet client raise kinds of their own
        if isinstance(error, OSError) and error.errno:
            raise  # the disk, which the entry point explains
        reason = next(iter(str(error).splitlines()), "")
        raise HubError(
            f"{what} could not be brought from {hub}: {type(error).__name__}: {reason}\n"
            "What has arrived is kept: the same command goes on from there, on a machine with "
            "network (often the login node; HTTPS_PROXY names a proxy, HF_ENDPOINT a mirror)"
        ) from error
