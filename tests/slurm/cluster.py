"""A SLURM cluster of one node, this machine, for tests.

`python -m tests.slurm.cluster` starts one and stops it on Ctrl-C. It needs root and Debian's packages munge,
slurmctld, slurmd and slurm-client. Everything that it writes is in one temporary folder. It listens on
127.0.0.1 alone, and needs no systemd, no cgroups and no accounting. Jobs in the partition `high` push those
in `low` out, which are queued again.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import free_port, wait_for

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol")
WHERE = "/usr/local/sbin:/usr/sbin:/sbin"

SETTINGS = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=1,sched_min_interval=0,bf_interval=1,batch_sched_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=20
SlurmdTimeout=60
MinJobAge=600
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=2000 State=UNKNOWN
PartitionName=low Nodes={host} Default=YES MaxTime=INFINITE PriorityTier=1 PreemptMode=REQUEUE
PartitionName=high Nodes={host} MaxTime=INFINITE PriorityTier=10 PreemptMode=OFF
"""


def missing() -> str:
    """Why no cluster can be started here; empty where one can."""
    path = f"{os.environ.get('PATH', '')}:{WHERE}"
    absent = [program for program in PROGRAMS if shutil.which(program, path=path) is None]
    if absent:
        packages = "munge slurmctld slurmd slurm-client"
        return f"SLURM is not installed here: no {', '.join(absent)}; apt-get install {packages}"
    return "" if os.geteuid() == 0 else "starting a SLURM cluster needs root"


@contextmanager
def cluster() -> Iterator[dict[str, str]]:
    """Start the cluster; yields the environment variables under which SLURM's commands and jobs use it."""
    host = socket.gethostname().split(".")[0]
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    folder.chmod(0o755)
    environment = {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": f"{os.environ['PATH']}:{WHERE}"}
    everything = os.environ | environment
    started: list[subprocess.Popen] = []

    def start(*command: str) -> None:
        output = open(folder / f"{command[0]}.out", "wb")  # noqa: SIM115 - the program's for as long as it runs
        started.append(
            subprocess.Popen(
                command,
                env=everything,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                start_new_session=True,
            )
        )

    try:
        for name in ("state", "spool"):
            (folder / name).mkdir()
        (folder / "munge.key").write_bytes(os.urandom(1024))
        (folder / "munge.key").chmod(0o400)
        (folder / "slurm.conf").write_text(
            SETTINGS.format(host=host, folder=folder, controller_port=free_port(), node_port=free_port())
        )
        files = {
            "key-file": "munge.key",
            "socket": "munge.socket",
            "pid-file": "munged.pid",
            "log-file": "munged.log",
            "seed-file": "munged.seed",
        }
        start(
            "munged",
            "--foreground",
            "--force",
            *(f"--{option}={folder / file}" for option, file in files.items()),
        )
        _until(lambda: (folder / "munge.socket").exists(), folder)
        start("slurmctld", "-D")
        start("slurmd", "-D", "-N", host)
        _until(
            lambda: _says(["sinfo", "--noheader", "--format=%T"], everything) in ("idle\nidle", "idle"),
            folder,
        )
        yield environment
    finally:
        _says(["scancel", "--signal=KILL", "--full", "--user=root"], everything)
        _says(["scancel", "--user=root"], everything)
        for process in reversed(started):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _says(command: list[str], environment: dict[str, str]) -> str:
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30).stdout.strip()


def _until(ready: Callable[[], object], folder: Path) -> None:
    """Wait until a program of the cluster is ready; a failure shows what the programs wrote."""

    def logs() -> str:
        files = [*sorted(folder.glob("*.log")), *sorted(folder.glob("*.out"))]
        return "\n".join(f"== {file.name}\n{file.read_text()[-2000:]}" for file in files)

    wait_for(ready, 20, lambda: f"The SLURM cluster did not start:\n{logs()}")


if __name__ == "__main__":
    with cluster() as variables:
        print("".join(f"export {name}={value}\n" for name, value in variables.items()), flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
