"""Page Train: whether a run goes to this machine or to the SLURM cluster, and what the job asks for there."""

from __future__ import annotations

from typing import Any

import streamlit as st
from pydantic import ValidationError

from app import state
from app.reading.readable_folders import readable_folders
from app.widgets import show_error
from ccd_core.errors import UserError
from ccd_core.jobs import slurm
from ccd_core.jobs.slurm import SlurmOptions

HERE, CLUSTER = "this machine", "SLURM cluster"


def place_field() -> SlurmOptions | None:
    """What the job asks a cluster for, or None for this machine; shown only where there is a cluster."""
    if not slurm.available():
        return None
    if st.radio("Where", [HERE, CLUSTER], key=state.PLACE, horizontal=True) != CLUSTER:
        return None
    fields = SlurmOptions.model_fields
    columns = st.columns(5)

    def number(column: Any, name: str, label: str, **limits: int) -> float:
        field = fields[name]
        return column.number_input(
            label, value=field.default, key=f"slurm_{name}", help=field.description, **limits
        )

    partition = columns[0].text_input(
        "Partition",
        placeholder="the cluster's default",
        key="slurm_partition",
        help=fields["partition"].description,
    )
    values = {
        "partition": partition.strip(),
        "gpus": number(columns[1], "gpus", "GPUs", min_value=0, max_value=64),
        "cpus": number(columns[2], "cpus", "CPU cores", min_value=1, max_value=1024),
        "memory_gb": number(columns[3], "memory_gb", "Memory, GB", min_value=0),
        "hours": number(columns[4], "hours", "Hours", min_value=1),
    }
    more = st.text_input(
        "More options of sbatch",
        placeholder="account=vision qos=low",
        key="slurm_more",
        help=fields["more"].description,
    )
    if "/" in more and readable_folders() is not None:
        st.error(
            "Options of sbatch that name files are not open to this app, which others can reach; "
            "use `ccd jobs start --sbatch` for these."
        )
        st.stop()
    try:
        return SlurmOptions.model_validate(values | {"more": slurm.parse_more(more.split())})
    except ValidationError as error:
        show_error(error.errors()[0]["msg"].removeprefix("Value error, "))
    except UserError as error:
        show_error(error)
    st.stop()
