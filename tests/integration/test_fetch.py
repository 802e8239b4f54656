"""Fetching from a hub of our own on this machine; nothing here knows the real one's address."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rlavr_hpc.data.load_split import load_split
from rlavr_hpc.offline.missing_inputs import missing_inputs
from tests.support.commands import REPOSITORY, TINY
from tests.support.configs import composed
from tests.support.tiny_models import qwen2

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NAME = "tiny/model"
PRETRAINED = ("model=pretrained", f"model.path={NAME}", "data=knights")


def weights(size: int) -> bytes:
    """A safetensors file with one tensor."""
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}})
    return len(header).to_bytes(8, "little") + header.encode() + bytes(size)


SHARDS = {f"model-0000{i}-of-00002.safetensors": weights(300_000 + i) for i in (1, 2)}
MODEL = {
    "config.json": b'{"model_type": "qwen2"}',
    "tokenizer.json": b'{"version": "1.0"}',
    "model.safetensors.index.json": json.dumps({"weight_map": {f: f for f in SHARDS}}).encode(),
    **SHARDS,
    "pytorch_model.bin": b"pickled",
    "onnx/model.onnx": b"for another program",
    "original/params.json": b"{}",
    "README.md": b"a card",
}
USED = {name for name in MODEL if name.startswith(("config", "tokenizer", "model"))}


@dataclass
class Hub:
    """Speaks as much of the hub's protocol as a download needs."""

    repositories: dict[str, Mapping[str, bytes]]
    """By the beginning of their addresses, e.g. `tiny/model` or `datasets/who/what`."""
    sent: Counter[str] = field(default_factory=Counter)
    """How often each file was sent, or begun to be."""
    slow: str = ""
    """Of this file only the first half is sent until `go_on` is set."""
    go_on: threading.Event = field(default_factory=threading.Event)
    address: str = ""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.split("?")[0].strip("/").removeprefix("api/")
        for name, files in self.repositories.items():
            kind = name if name.startswith("datasets/") else f"models/{name}"
            if path in (kind, f"{kind}/revision/main"):
                siblings = [{"rfilename": file} for file in files]
                return _json(request, {"id": name, "sha": COMMIT, "siblings": siblings})
            if path.startswith(f"{kind}/tree/"):
                return _json(request, [_entry(file, data) for file, data in files.items()])
            start, found, file = path.partition(f"{name}/resolve/")
            if found and not start and (wanted := file.partition("/")[2]) in files:
                return self._file(request, wanted, files[wanted])
        return _json(request, {"error": "not found"}, 404, {"X-Error-Code": "RepoNotFound"})

    def _file(self, request: BaseHTTPRequestHandler, name: str, data: bytes) -> None:
        request.send_response(200)
        request.send_header("ETag", f'"{hashlib.sha1(data).hexdigest()}"')
        request.send_header("X-Repo-Commit", COMMIT)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        if request.command == "HEAD":
            return
        self.sent[name] += 1
        half = len(data) // 2 if name == self.slow else len(data)
        with suppress(OSError):  # the reader may have been killed
            request.wfile.write(data[:half])
            request.wfile.flush()
            if half < len(data):
                self.go_on.wait(60)
            request.wfile.write(data[half:])


def _entry(name: str, data: bytes) -> dict[str, Any]:
    return {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}


def _json(
    request: BaseHTTPRequestHandler,
    value: object,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> None:
    data = json.dumps(value).encode()
    request.send_response(status)
    for key, text in {"Content-Length": str(len(data)), **(headers or {})}.items():
        request.send_header(key, text)
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(data)


@pytest.fixture
def hub() -> Iterator[Hub]:
    served = Hub(repositories={NAME: MODEL})

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            served.answer(self)

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    served.address = f"http://127.0.0.1:{server.server_port}"
    yield served
    served.go_on.set()
    server.shutdown()
    server.server_close()


@dataclass
class Login:
    """A user on a login node: a home of his own, and no other way out than to `address`."""

    home: Path
    address: str

    @property
    def cache(self) -> Path:
        return self.home / ".cache/huggingface/hub"

    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "XDG_", "RLAVR_"))}
        return {
            **kept,
            "HOME": str(self.home),
            "HF_ENDPOINT": self.address,
            "NO_PROXY": "127.0.0.1",
            "HF_HUB_ETAG_TIMEOUT": "60",
            "HF_HUB_DOWNLOAD_TIMEOUT": "60",
        }

    def start(self, *overrides: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "rlavr_hpc", "fetch", *overrides],
            text=True,
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment() | environment,
        )

    def fetch(self, *overrides: str, **environment: str) -> tuple[int, str, str]:
        """Exit code, what was printed, and what was told on stderr."""
        process = self.start(*overrides, **environment)
        out, told = process.communicate(timeout=200)
        return process.returncode, out, told


@pytest.fixture
def login(tmp_path: Path, hub: Hub) -> Login:
    (tmp_path / "home").mkdir()
    return Login(home=tmp_path / "home", address=hub.address)


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def files_of(login: Login) -> set[str]:
    snapshot = login.cache / "models--tiny--model/snapshots" / COMMIT
    return {str(path.relative_to(snapshot)) for path in snapshot.rglob("*") if path.is_file()}


def test_a_fetch_brings_what_a_run_reads_and_a_second_one_needs_no_network(
    hub: Hub, login: Login
) -> None:
    config = composed(*PRETRAINED)
    (before,) = missing_inputs(config, cache=login.cache)
    assert f"{NAME} is not in {login.cache}" in before
    assert before.endswith(f"rlavr fetch model.path={NAME}")

    code, out, told = login.fetch(f"model.path={NAME}")

    assert code == 0, told
    assert f"brought: model {NAME}" in out
    assert "it/s" in told  # progress, on stderr
    assert files_of(login) == USED
    assert missing_inputs(config, cache=login.cache) == []
    hub.repositories.clear()
    code, out, told = login.fetch(*PRETRAINED, HF_HUB_OFFLINE="1")
    assert code == 0, told
    assert f"there: model {NAME}" in out
    assert "another fetch" not in out
    assert set(hub.sent.values()) == {1}


def test_a_model_without_safetensors_comes_pickled(hub: Hub, login: Login) -> None:
    hub.repositories[NAME] = {k: v for k, v in MODEL.items() if "safetensors" not in k}
    assert login.fetch(f"model.path={NAME}")[0] == 0
    assert files_of(login) == {"config.json", "tokenizer.json", "pytorch_model.bin"}
    assert missing_inputs(composed(*PRETRAINED), cache=login.cache) == []


def test_of_two_fetches_at_once_the_second_waits_and_finds_everything(
    hub: Hub, login: Login
) -> None:
    hub.slow = next(iter(SHARDS))
    first = login.start(f"model.path={NAME}")
    wait_until(lambda: hub.sent[hub.slow] == 1)
    second = login.start(f"model.path={NAME}")
    assert second.stderr is not None
    line = next(line for line in second.stderr if "waiting" in line)
    assert f"model {NAME}: another fetch is bringing it" in line
    assert second.poll() is None
    hub.go_on.set()
    told = [process.communicate(timeout=60) for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), told
    assert f"brought: model {NAME}" in told[0][0]
    assert "brought by another fetch" in told[1][0]
    assert hub.sent == dict.fromkeys(USED, 1)
    (lock,) = (login.cache / ".locks/rlavr_hpc").iterdir()
    assert lock.stat().st_mode & 0o777 == 0o666  # people who share a cache take it in turn


def test_a_fetch_killed_half_way_is_continued_and_its_half_is_never_used(
    hub: Hub, login: Login
) -> None:
    config = composed(*PRETRAINED)
    hub.slow = list(SHARDS)[1]
    process = login.start(f"model.path={NAME}")
    wait_until(lambda: hub.sent[hub.slow] == 1 and hub.slow not in files_of(login))
    wait_until(lambda: files_of(login) == USED - {hub.slow})
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    (line,) = missing_inputs(config, cache=login.cache)
    assert f"has no whole {hub.slow}" in line

    hub.go_on.set()
    code, _, told = login.fetch(f"model.path={NAME}")

    assert code == 0, told
    assert hub.sent == {**dict.fromkeys(USED, 1), hub.slow: 2}
    assert missing_inputs(config, cache=login.cache) == []
    assert not list(login.cache.rglob("*.incomplete"))
    whole = login.cache / "models--tiny--model/snapshots" / COMMIT / hub.slow
    assert whole.read_bytes() == SHARDS[hub.slow]


def test_ctrl_c_ends_a_download_at_once(hub: Hub, login: Login) -> None:
    hub.slow = list(SHARDS)[1]
    process = login.start(f"model.path={NAME}")
    wait_until(lambda: hub.sent[hub.slow] == 1)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)  # the server would make it wait for a minute
    assert process.returncode == 130
    assert "the same command continues" in told


def test_weights_that_were_cut_off_by_a_copy_are_brought_again(hub: Hub, login: Login) -> None:
    assert login.fetch(f"model.path={NAME}")[0] == 0
    broken = login.cache / "models--tiny--model/snapshots" / COMMIT / next(iter(SHARDS))
    with broken.open("r+b") as file:
        file.truncate(1000)
    assert len(missing_inputs(composed(*PRETRAINED), cache=login.cache)) == 1
    code, _, told = login.fetch(f"model.path={NAME}")
    assert code == 0, told
    assert broken.read_bytes() == SHARDS[broken.name]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.path=tiny/nothing", "model tiny/nothing: there is none on http://127.0.0.1"),
        ("model.path=not--a..name/", "model.path|there is none"),
        ("model.path=./folder", "model.path=./folder does not exist"),
        ("model.pth=x/y", "pth"),
        ("experiment=maths", "maths"),
    ],
)
def test_a_bad_name_is_the_users_mistake(login: Login, override: str, message: str) -> None:
    code, out, told = login.fetch(override)
    assert code == 2, told
    assert any(text in told for text in message.split("|"))
    assert "Traceback" not in told
    assert out == ""


def test_without_network_it_says_where_to_go_and_loses_nothing(hub: Hub, login: Login) -> None:
    hub.slow = list(SHARDS)[1]
    process = login.start(f"model.path={NAME}")
    wait_until(lambda: files_of(login) == USED - {hub.slow})
    process.kill()
    process.communicate()
    nobody = Login(home=login.home, address="http://127.0.0.1:9")
    code, _, told = nobody.fetch(f"model.path={NAME}")
    assert code == 1
    assert "login node" in told
    assert "Traceback" not in told
    assert files_of(login) == USED - {hub.slow}
    code, _, told = login.fetch(f"model.path={NAME}", HF_HUB_OFFLINE="1")
    assert code == 2
    assert "HF_HUB_OFFLINE" in told


def test_the_shipped_experiments_data_is_brought_too(
    hub: Hub, login: Login, tmp_path: Path
) -> None:
    hub.repositories["datasets/BytedTsinghua-SIA/DAPO-Math-17k"] = {
        "data/dapo-math-17k.parquet": b"train"
    }
    hub.repositories["datasets/BytedTsinghua-SIA/AIME-2024"] = {"data/aime-2024.parquet": b"eval"}
    data = tmp_path / "data"
    data.mkdir()
    (data / ".aime24.parquet.half").write_bytes(b"what a killed fetch left")
    run = ("experiment=math", f"model.path={NAME}")
    for number in (1, 2):
        code, out, told = login.fetch(*run, RLAVR_DATA=str(data))
        assert code == 0, told
        words = [line.split(":")[0] for line in out.splitlines()]
        assert words[:-1] == ["brought" if number == 1 else "there"] * 3
    assert (data / "dapo-math-17k.parquet").read_bytes() == b"train"
    assert (data / "aime24.parquet").read_bytes() == b"eval"
    assert not list(data.glob("*.half"))
    code, out, told = login.fetch(*run, f"data.path={tmp_path}/mine.parquet")
    assert (code, out) == (2, "")
    assert "mine.parquet does not exist, and where it comes from is not known" in told


def test_a_data_set_of_the_hub_is_brought_and_read_without_network(
    hub: Hub, login: Login, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {f"main/{split}.parquet": parquet_bytes(split) for split in ("train", "test")}
    hub.repositories["datasets/tiny/sums"] = {
        **files, "socratic/train.parquet": b"of another subset", "README.md": b"a card",
    }  # fmt: skip
    run = ("data=folder", "data.path=hub:tiny/sums/main", PRETRAINED[0], PRETRAINED[1])
    monkeypatch.setattr("rlavr_hpc.offline.hub.cache_folder", lambda: login.cache)
    assert "data.path=hub:tiny/sums/main" in missing_inputs(composed(*run), cache=login.cache)[1]

    code, out, told = login.fetch(*run)

    assert code == 0, told
    assert "brought: data set tiny/sums" in out
    assert missing_inputs(composed(*run), cache=login.cache) == []
    assert {name for name in hub.sent if "parquet" in name} == set(files)
    hub.repositories.clear()
    code, out, told = login.fetch(*run, HF_HUB_OFFLINE="1")
    assert code == 0, told
    assert "there: data set tiny/sums/main" in out
    split = load_split(composed(*run).data)
    assert [question.text for question in split.train.questions] == ["a train question"]


def test_a_data_set_that_the_hub_does_not_have_is_the_users_mistake(hub: Hub, login: Login) -> None:
    hub.repositories["datasets/tiny/words"] = {"README.md": b"a card"}
    for name, message in [("nothing", "there is none on"), ("words", "no parquet, Arrow, JSON")]:
        code, _, told = login.fetch(f"data.path=hub:tiny/{name}", "data=file", *PRETRAINED[:2])
        assert code == 2, told
        assert message in told
        assert "Traceback" not in told


def parquet_bytes(split: str) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"question": [f"a {split} question"], "answer": ["1"]}), sink)
    return sink.getvalue()


def run_offline(login: Login, *overrides: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rlavr_hpc.run", *overrides],
        text=True,
        capture_output=True,
        cwd=REPOSITORY,
        check=False,
        timeout=300,
        env=login.environment()
        | {
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
            "RLAVR_CACHE": os.environ.get("RLAVR_CACHE") or str(Path.home() / ".cache/rlavr_hpc"),
        },
    )


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["hf", pytest.param("vllm", marks=pytest.mark.vllm)])
def test_a_run_without_network_trains_a_model_that_was_fetched(
    hub: Hub, login: Login, tmp_path: Path, engine: str
) -> None:
    hub.repositories[NAME] = tiny_qwen2(tmp_path / "qwen2")
    assert login.fetch(f"model.path={NAME}")[0] == 0
    rows = [{"prompt": f"Rule 1 maps ({i}, 1) to ", "answer": str(i), "id": i} for i in range(16)]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    hub.repositories.clear()
    done = run_offline(
        login,
        *(key for key in TINY if key.startswith("algorithm")),
        "steps=1",
        f"rollout={engine}",
        "model=pretrained",
        f"model.path={NAME}",
        "model.dtype=float32",
        "data=jsonl",
        f"data.path={tmp_path}/data.jsonl",
        f"run_dir={tmp_path}/run",
        "rollout.max_prompt_tokens=32",
        "rollout.max_response_tokens=8",
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run/DONE.json").exists()


def tiny_qwen2(folder: Path) -> dict[str, bytes]:
    """The files of a model that was made on the spot, in several shards."""
    from rlavr_hpc.testbed.base_model import build_tokenizer

    tokenizer = build_tokenizer()
    model = qwen2(tokenizer, hidden_size=64, intermediate_size=64)
    model.save_pretrained(folder, max_shard_size="100KB")
    tokenizer.save_pretrained(folder)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert sum(name.endswith(".safetensors") for name in files) > 1
    return files


@pytest.mark.slow
def test_the_testbeds_model_is_made_where_a_run_finds_it(tmp_path: Path, login: Login) -> None:
    tiny = ("model.pretrain_steps=3",)
    cache = {"RLAVR_CACHE": str(tmp_path / "cache")}
    code, out, told = login.fetch(*tiny, **cache)
    assert code == 0, told
    assert "made: the testbed's model" in out
    assert "there: the testbed's model" in login.fetch(*tiny, **cache)[1]
    from rlavr_hpc.trainer.policy.tokenizer import load_tokenizer

    made = sorted((tmp_path / "cache/testbed").glob("*/config.json"))
    before = os.environ.get("RLAVR_CACHE")
    os.environ |= cache
    try:
        bundle = load_tokenizer(composed(*tiny), quiet=True)
    finally:
        os.environ.pop("RLAVR_CACHE")
        os.environ |= {"RLAVR_CACHE": before} if before else {}
    assert [Path(bundle.path) / "config.json"] == made
