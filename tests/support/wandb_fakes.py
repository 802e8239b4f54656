"""wandb without wandb: files as it writes them, its command, and a dashboard."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlavr_hpc.telemetry.examples.table import Table
from rlavr_hpc.telemetry.outcome import Attachment

BLOCK = 1 << 15

COMMAND = """
import json, pathlib, sys, time
assert sys.argv[1:3] == ["sync", "--include-synced"], sys.argv
assert sys.stdin.read() == ""
here = pathlib.Path(__file__).parent
said = (here / "says").read_text() if (here / "says").exists() else ""
if "sleep" in said:
    time.sleep(60)
if "API key" in said:
    sys.exit("Error: No API key configured. Use `wandb login` to log in.")
sent = []
for folder in map(pathlib.Path, sys.argv[3:]):
    [file] = folder.glob("*.wandb")
    sent.append([folder.name, file.stat().st_size])
    refused = "refused" in str(folder)
    if "crash" not in str(folder):
        pathlib.Path(f"{file}.synced").touch()
        pathlib.Path(f"{file}.syncstate").write_text("{}")
with (here / "calls").open("a") as calls:
    calls.write(json.dumps(sent) + "\\n")
if refused:
    print("wandb: ERROR [p/x] Fatal error while uploading data.")
print("wandb: [p/x] Finished syncing")
"""
"""Stands in for `python -m wandb sync`, with its habit of ending with 0 and a mark after errors."""


def fake_command(folder: Path) -> Path:
    """A PYTHONPATH on which `wandb` is this one."""
    (folder / "wandb").mkdir(parents=True)
    (folder / "wandb/__init__.py").touch()
    (folder / "wandb/__main__.py").write_text(COMMAND)
    return folder


def calls(path: Path) -> list[list[list[Any]]]:
    """Per call of the fake command the (attempt's folder, bytes) it got."""
    log = path / "wandb/calls"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def write_attempt(
    run_dir: Path, stamp: str, *, steps: Iterable[int] = (), ended: bool = True, more: bytes = b""
) -> Path:
    """An attempt's folder with its file of rows; `more` is what follows the last whole record."""
    folder = run_dir / f"wandb/offline-run-{stamp}-r"
    folder.mkdir(parents=True)
    records = [field_of(17, b"run"), *map(row_of, steps)]
    records += [field_of(18, b"exit")] if ended else []
    path = folder / "run-r.wandb"
    path.write_bytes(log_of(records) + more)
    return path


def field_of(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def row_of(step: int) -> bytes:
    """A row with its number, another value that fills half a block, and the internal step."""
    items = {"step": "7", "x": "9" * 20_000, "_step": str(step)}
    written = (field_of(2, k.encode()) + field_of(16, v.encode()) for k, v in items.items())
    number = varint(1 << 3) + varint(step)
    return number + field_of(2, b"".join(field_of(1, item) for item in written))


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def log_of(records: Iterable[bytes]) -> bytes:
    """Records in LevelDB's log format with wandb's beginning."""
    out = b":W&B\xe1\xbe\x00"
    for record in records:
        rest, first = record, True
        while first or rest:
            room = BLOCK - len(out) % BLOCK
            if room < 7:
                out += bytes(room)
                continue
            part, rest = rest[: room - 7], rest[room - 7 :]
            kind = {(True, True): 1, (True, False): 2, (False, False): 3, (False, True): 4}[
                first, not rest
            ]
            checksum = zlib.crc32(bytes([kind]) + part)
            out += struct.pack("<IHB", checksum, len(part), kind) + part
            first = False
    return out


@dataclass
class Server:
    """A dashboard that drops rows as wandb does."""

    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    ends: list[str] = field(default_factory=list)
    starts: int = 0
    tables: dict[int, Table] = field(default_factory=dict)
    attached: list[Attachment] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)

    @property
    def next(self) -> int:
        return max(self.rows, default=-1) + 1


@dataclass
class FakeRun:
    """One attempt's connection; it breaks at the row with the internal step `breaks_at`."""

    server: Server
    breaks_at: int | None = None
    began: int = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.server.next

    @property
    def starting_step(self) -> int:
        return self.began

    def log(self, data: dict[str, Any], step: int, *, examples: Table | None) -> None:
        if step == self.breaks_at:
            raise ConnectionResetError("Connection lost")
        assert step >= self.server.next, "wandb would drop this row"
        self.server.rows[step] = data
        if examples is not None:
            self.server.tables[step] = examples

    def attach(self, attachment: Attachment) -> None:
        self.server.attached.append(attachment)

    def summarize(self, values: Mapping[str, Any]) -> None:
        self.server.summary |= values

    def mark_preempting(self) -> None:
        self.server.ends.append("preempting")

    def finish(self, exit_code: int) -> None:
        self.server.ends.append(f"finish {exit_code}")
