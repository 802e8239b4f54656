"""Which data and which model of a testbed go together."""

from __future__ import annotations

from rlavr_hpc.config.data import DataConfig, DataKind
from rlavr_hpc.config.model import ModelConfig, ModelSource
from rlavr_hpc.errors import UserError


def check_testbeds(data: DataConfig, model: ModelConfig) -> None:
    """Refuse questions that the model cannot have read about.

    Raises:
        UserError: they do not go together.
    """
    if data.kind is DataKind.testbed and model.source is not ModelSource.testbed:
        raise UserError(
            "data=testbed asks questions only model=testbed has read about; give "
            "data=jsonl data.path=FILE, data=parquet data.path=FILE or data=knights"
        )
    if (data.kind is DataKind.reasoning) != (model.source is ModelSource.reasoning):
        raise UserError(
            f"data={data.kind} and model={model.source} do not go together: only model=reasoning "
            "knows the words of data=reasoning, and it knows no others; say experiment=reasoning, "
            "or both"
        )
