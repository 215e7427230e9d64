"""Where a run goes from the page Train: this machine, or the SLURM cluster that it can submit to, with what the job asks for."""

from __future__ import annotations

import streamlit as st
from pydantic import ValidationError

from app.reading import readable_folders as roots
from ccd_core.errors import UserError
from ccd_core.jobs import slurm
from ccd_core.jobs.slurm import SlurmOptions


def place_field() -> SlurmOptions | None:
    """What the job asks a cluster for, or None for this machine; shown only where there is a cluster."""
    if not slurm.available():
        return None
    place = st.radio("Where", ["this machine", "SLURM cluster"], key="place", horizontal=True)
    if place != "SLURM cluster":
        return None
    fields, columns = SlurmOptions.model_fields, st.columns(5)

    def number(column, name: str, label: str, **limits) -> float:
        return column.number_input(
            label, value=fields[name].default, key=f"slurm_{name}", help=fields[name].description, **limits
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
    if "/" in more and roots.roots() is not None:
        st.error(
            "Options of sbatch that name files are not open to this app, which others can reach; use `ccd jobs start --sbatch` for these."
        )
        st.stop()
    try:
        return SlurmOptions.model_validate(values | {"more": slurm.parse_more(more.split())})
    except (ValidationError, UserError) as error:
        st.error(
            error.errors()[0]["msg"].removeprefix("Value error, ")
            if isinstance(error, ValidationError)
            else str(error)
        )
        st.stop()
