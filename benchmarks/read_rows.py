"""`python -m benchmarks.read_rows`: how long a parquet file of 1.8 million rows takes to read.

DAPO's file repeats each of its 17 thousand prompts a hundred times. A file of that schema and size
is made, once with the copies beside each other and once shuffled, and `read_dataset` reads it in a
process of its own, held to one core. Exit code 1 above 60 s or 4 GiB.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from benchmarks.machine import machine

SECONDS = 60.0
GIB = 4.0
PROMPTS = 17_917
REPEATS = 100
GROUP_ROWS = 1_000_000
"""Rows of a row group, as pandas writes them."""
WORDS = ("the", "sum", "of", "all", "integers", "such", "that", "a", "positive", "angle", "divides")
PROMPT_WORDS = 120
READ = """
import resource, sys, time
from pathlib import Path
from rlavr_hpc.config.data import DataKind
before = time.monotonic()
from rlavr_hpc.data.tables import read_dataset
data = read_dataset(Path(sys.argv[1]), DataKind.parquet)
took = time.monotonic() - before
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(len(data.questions), len(data.answers), data.findings[0].count)
print(took, time.process_time(), peak)
"""


def main() -> int:
    """Measure and print; 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.read_rows", description=__doc__)
    parser.add_argument("--repeats", type=int, default=REPEATS, help="copies of each prompt")
    repeats = parser.parse_args().repeats
    core = min(os.sched_getaffinity(0))
    print(f"{PROMPTS * repeats:,} rows, {PROMPTS:,} prompts, one core of {machine()}")
    missed = False
    with tempfile.TemporaryDirectory() as folder:
        for order in tqdm(("beside each other", "shuffled"), unit="file", leave=False):
            path = Path(folder) / "rows.parquet"
            write_rows(path, repeats=repeats, shuffled=order == "shuffled")
            done = subprocess.run(
                ["taskset", "-c", str(core), sys.executable, "-c", READ, str(path)],
                check=True,
                capture_output=True,
                text=True,
            )
            questions, answers, merged, seconds, busy, peak = done.stdout.split()
            assert (int(questions), int(answers)) == (PROMPTS, PROMPTS)
            assert int(merged) == PROMPTS * (repeats - 1)
            print(
                f"copies {order}: {float(seconds):.1f} s ({float(busy):.1f} s of processor time), "
                f"peak {float(peak):.2f} GiB (file {path.stat().st_size / 2**20:.0f} MiB)"
            )
            missed |= float(seconds) > SECONDS or float(peak) > GIB
    if missed:
        print(f"MISSED: the targets are {SECONDS:.0f} s and {GIB:.0f} GiB")
    return int(missed)


def write_rows(path: Path, *, repeats: int, shuffled: bool) -> None:
    """A file of DAPO's schema: 17,917 prompts, each `repeats` times, with an index of its own."""
    rng = np.random.default_rng(1)
    words = rng.choice(WORDS, size=(PROMPTS, PROMPT_WORDS))
    prompts = [f"Problem {i}: {' '.join(row)}\nAnswer: $Answer" for i, row in enumerate(words)]
    order = np.repeat(np.arange(PROMPTS), repeats)
    if shuffled:
        rng.shuffle(order)
    unique = pa.table(
        {
            "data_source": ["math_dapo"] * PROMPTS,
            "prompt": [[{"content": text, "role": "user"}] for text in prompts],
            "ability": ["MATH"] * PROMPTS,
            "reward_model": [
                {"ground_truth": str(i), "style": "rule-lighteval/MATH_v2"} for i in range(PROMPTS)
            ],
        }
    )
    index = pa.array([{"index": f"{i:032x}"} for i in range(len(order))])
    with pq.ParquetWriter(path, unique.schema.append(pa.field("extra_info", index.type))) as file:
        for start in range(0, len(order), GROUP_ROWS):
            part = unique.take(order[start : start + GROUP_ROWS])
            file.write_table(
                part.append_column("extra_info", index[start : start + GROUP_ROWS]),
                row_group_size=GROUP_ROWS,
            )


if __name__ == "__main__":
    raise SystemExit(main())
