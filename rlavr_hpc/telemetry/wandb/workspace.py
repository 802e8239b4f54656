"""The dashboard's sections as a workspace on Weights & Biases: only importer of wandb_workspaces.

A package of its own, which training does not need.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

from rlavr_hpc.config.tracking import check_dashboard_name
from rlavr_hpc.errors import UserError
from rlavr_hpc.telemetry.wandb.sections import STEP, Panel, Section

TITLE = "rlavr_hpc"
COLUMNS = 3


def build_workspace(
    sections: Sequence[Section], *, project: str, entity: str | None, name: str = TITLE
) -> Any:  # noqa: ANN401
    """A `wandb_workspaces.workspaces.Workspace`; nothing is sent.

    Args:
        sections: what it shows, top to bottom.
        project: on the dashboard.
        entity: user or team there; None = the one who is logged in.
        name: the view's.

    Raises:
        UserError: the package is not installed, or project or entity can be no names there.
    """
    check_dashboard_name("--project", project)
    if entity is not None:
        check_dashboard_name("--entity", entity, also=" ")
    try:
        import wandb_workspaces.reports.v2 as panels  # noqa: PLC0415
        import wandb_workspaces.workspaces as workspaces  # noqa: PLC0415
    except ImportError as error:
        raise UserError(
            f"a dashboard needs a package that is not there ({error}): "
            'pip install "rlavr-hpc[dashboard]"'
        ) from error
    return workspaces.Workspace(
        entity=entity or "",
        project=project,
        name=name,
        sections=[
            workspaces.Section(
                name=section.name,
                is_open=True,
                layout_settings=workspaces.SectionLayoutSettings(
                    columns=COLUMNS, rows=ceil(len(section.panels) / COLUMNS)
                ),
                panels=[_panel(panels, panel) for panel in section.panels],
            )
            for section in sections
        ],
        settings=workspaces.WorkspaceSettings(x_axis=STEP),
        runset_settings=workspaces.RunsetSettings(
            groupby=[workspaces.Config("acquisition.name"), workspaces.Config("budget")]
        ),
    )


def save_workspace(workspace: Any) -> str:  # noqa: ANN401
    """Make the view on the dashboard; returns its address.

    Raises:
        UserError: nobody is logged in, or the project cannot be written.
    """
    try:
        workspace.save()
    except Exception as error:
        raise UserError(
            f"wandb did not take the dashboard ({type(error).__name__}: {error}); is WANDB_API_KEY "
            "set, may you write to the project, and is there a network?"
        ) from error
    return str(workspace.url)


def _panel(panels: Any, panel: Panel) -> Any:  # noqa: ANN401
    match panel.kind:
        case "bar":
            return panels.BarPlot(title=panel.title, metrics=list(panel.metrics))
        case "scatter":
            x, y = map(panels.SummaryMetric, panel.metrics)
            return panels.ScatterPlot(title=panel.title, x=x, y=y)
        case "table":
            return panels.WeavePanelSummaryTable(table_name=panel.metrics[0])
        case _:
            return panels.LinePlot(title=panel.title, x=STEP, y=list(panel.metrics))
