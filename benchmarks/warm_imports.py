"""What a training run imports, loaded once: see `warm_start`."""

from __future__ import annotations

from importlib import import_module

from rlavr_hpc.trainer.job import quiet_vendors

NAMES = (
    "rlavr_hpc.commands.run",
    "rlavr_hpc.trainer.build",
    "rlavr_hpc.trainer.process",
    "rlavr_hpc.trainer.inspected_prompts",
    "rlavr_hpc.trainer.reporting.conclude",
    "deepspeed.runtime.zero.muon.muon_optimizer",  # every start of DeepSpeed's engine wants it
    "transformers.models.qwen2.modeling_qwen2",  # the testbed's architecture
)

quiet_vendors(on_cpu=True)
for _name in NAMES:
    import_module(_name)
