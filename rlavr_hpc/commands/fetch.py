"""`rlavr fetch [KEY=VALUE ...]`: download what a run needs, where there is a network."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from filelock import FileLock, Timeout

from rlavr_hpc.cluster.overrides import config_of
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.errors import ExitCode, RlavrError, UserError
from rlavr_hpc.io import sync_file, sync_folder
from rlavr_hpc.offline import hub
from rlavr_hpc.offline.hub_data import PREFIX, HubDataSet, hub_data_set
from rlavr_hpc.offline.missing_inputs import (
    ORIGINS,
    data_files,
    data_is_there,
    folder_fault,
    lacking,
    on_hub,
)
from rlavr_hpc.testbed.model_cache import cache_root, ensure_base_model
from rlavr_hpc.testbed.recipes import recipe_of

DESCRIPTION = """\
Download the model, tokenizer and data of a run, so that jobs can run on nodes without network. Use
it on the login node, with the overrides of the run, or with model.path=NAME alone.

Models go to HF_HUB_CACHE or HF_HOME (default ~/.cache/huggingface), and so do data sets that
data.path or data.eval_path name as on the hub: ORG/NAME, or hub:ORG/NAME/FOLDER for a part. The
shipped experiments' files go to data.path and data.eval_path, a testbed's model to RLAVR_CACHE.
What is already complete is kept and needs no network. The same command continues a download that
was killed; if two processes fetch the same thing, the second waits for the first.
"""
EPILOG = """\
Examples:
  rlavr fetch experiment=math model.path=Qwen/Qwen3-4B
  rlavr fetch model.path=Qwen/Qwen3-4B
  rlavr fetch model.path=Qwen/Qwen3-4B data=parquet data.path=hub:openai/gsm8k/main

Exit codes: 0 everything is there, 1 the hub cannot be reached or the disk is full, 2 your mistake,
130 interrupted.
"""
LOCK_MODE = 0o666
"""People who share a cache must be able to take each other's locks."""
POLL_SECONDS = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `rlavr fetch`."""
    parser.add_argument(
        "overrides", metavar="KEY=VALUE", nargs="*", help="overrides, as for `rlavr run`"
    )


def run(given: argparse.Namespace) -> int:
    """Fetch; returns the exit code."""
    before = signal.signal(signal.SIGINT, _end_at_once)
    try:
        _fetch(config_of(given.overrides))
    except OSError as error:
        raise RlavrError(
            f"{error}; make room, or choose another place with HF_HOME, RLAVR_CACHE or data.path, "
            "then give the same command again to continue"
        ) from error
    finally:
        signal.signal(signal.SIGINT, before)
    print("everything is there: such a run needs no network")
    return ExitCode.DONE


def _fetch(config: RunConfig) -> None:
    """Bring everything; mistakes are found before anything is brought."""
    path = config.model.path
    files = data_files(config.data)
    for file in files:
        _check_data(file)
    if path is None:
        _fetch_testbed(config)
    elif on_hub(path):
        _fetch_model(path)
    else:
        _check_folder(path)
    for file in files:
        named = hub_data_set(file)
        if named is None:
            _fetch_data(Path(file).expanduser())
        else:
            _fetch_data_set(file, named)


def _check_folder(path: str) -> None:
    if fault := folder_fault(path):
        raise UserError(fault)
    print(f"there: model in {path}")


def _check_data(file: str) -> None:
    path = Path(file).expanduser()
    if hub_data_set(file) is None and not path.exists() and path.name not in ORIGINS:
        known = ", ".join(sorted(ORIGINS))
        raise UserError(
            f"data file {path} does not exist, and where it comes from is not known here ({known} "
            "are); put it there, or name another with data.path or data.eval_path (data.path="
            "hub:ORG/NAME is a data set of the hub)"
        )


def _fetch_model(name: str) -> None:
    if (folder := _whole_model(name)) is not None:
        print(f"there: model {name} in {folder}")
        return
    with _alone(hub.lock_file(name), f"model {name}"):
        if (folder := _whole_model(name)) is not None:
            print(f"there: model {name} in {folder}, brought by another fetch")
            return
        _remove_halves(name)
        hub.bring_model(name)
    folder = hub.cached_model(name, hub.cache_folder())
    lacks = "config.json" if folder is None else lacking(folder)
    if folder is None or lacks is not None:
        raise UserError(f"model {name} came, but has no whole {lacks}: it cannot be loaded")
    print(f"brought: model {name} into {folder} ({_gib(folder)})")


def _whole_model(name: str) -> Path | None:
    folder = hub.cached_model(name, hub.cache_folder())
    return None if folder is None or lacking(folder) is not None else folder


def _remove_halves(name: str) -> None:
    """Take away cut-off weights, as a copied cache may hold; the hub's code would keep them."""
    folder = hub.cached_model(name, hub.cache_folder())
    while folder is not None and (lacks := lacking(folder)) and (folder / lacks).is_file():
        (folder / lacks).resolve().unlink()
        (folder / lacks).unlink(missing_ok=True)  # the link to it


def _gib(folder: Path) -> str:
    size: float = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return f"{size / 2**30:.2f} GiB"


def _fetch_data_set(file: str, named: HubDataSet) -> None:
    """A data set of the hub, into the cache."""
    cache = hub.cache_folder()
    if data_is_there(file, cache):
        print(f"there: data set {file.removeprefix(PREFIX)} in {cache}")
        return
    with _alone(hub.lock_file(f"datasets/{named.repository}"), f"data set {named.repository}"):
        if data_is_there(file, cache):
            print(f"there: data set {file.removeprefix(PREFIX)}, brought by another fetch")
            return
        folder = hub.bring_data_set(named.repository, named.inside)
    print(f"brought: data set {named.repository} into {folder} ({_gib(folder)})")


def _fetch_data(path: Path) -> None:
    if path.exists():
        print(f"there: data {path}")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path.with_name(f".{path.name}.lock"), f"data {path}"):
        if path.is_file():
            print(f"there: data {path}, brought by another fetch")
            return
        half = path.with_name(f".{path.name}.half")  # under the lock it is ours, also a dead one's
        shutil.copyfile(hub.bring_data(*ORIGINS[path.name]), half)
        sync_file(half)
        half.rename(path)
        sync_folder(path.parent)
    print(f"brought: data {path} (from {ORIGINS[path.name][0]})")


def _fetch_testbed(config: RunConfig) -> None:
    recipe = recipe_of(config.model, config.data)
    home = cache_root(os.environ) / "testbed"
    if (home / recipe.digest).exists():
        print(f"there: the testbed's model in {home / recipe.digest}")
        return
    with _alone(home / f"{recipe.digest}.fetch.lock", "the testbed's model"):
        before = (home / recipe.digest).exists()
        signal.signal(signal.SIGINT, signal.default_int_handler)  # its build cleans up by itself
        folder = ensure_base_model(recipe, quiet=False)
    print(f"{'there' if before else 'made'}: the testbed's model in {folder}")


def _end_at_once(number: int, frame: FrameType | None) -> None:
    """The hub's threads would first finish the files they are at, gigabytes each."""
    with suppress(OSError):
        os.write(2, b"\nrlavr: interrupted; the same command continues from here\n")
    os._exit(ExitCode.SECOND_SIGNAL)


@contextmanager
def _alone(lock: Path, what: str) -> Iterator[None]:
    """Hold a lock that dies with its owner; say so when somebody else has it."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    guard = FileLock(lock, mode=LOCK_MODE)
    try:
        guard.acquire(timeout=0)
    except Timeout:
        print(f"{what}: another fetch is bringing it; waiting for its end", file=sys.stderr)
        guard.acquire(poll_interval=POLL_SECONDS)
    try:
        yield
    finally:
        guard.release()
