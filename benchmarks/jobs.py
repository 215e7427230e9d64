"""Do jobs survive, keep their order and cost nothing? Measured on this machine with runs that take seconds.

kill-job: kill -9 at random moments of each stage. Every job is resumed; its labels, scores, AP and weights
are compared with an undisturbed run's.
kill-app: kill -9 of the app while jobs run and wait. None may be lost, none may start twice.
queue: as many jobs on cpu:0 and cpu:1. Each device must keep their order.
overhead: a job beside the bare command, in pairs: seconds in all, and to the first progress.

python benchmarks/jobs.py kill-job [--times 3]
python benchmarks/jobs.py kill-app [--times 2]
python benchmarks/jobs.py queue [--jobs 6]
python benchmarks/jobs.py overhead [--times 2]
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from app_process import app_command, free_port, open_browser
from small_runs import differing, small_world

from ccd_core.jobs import control
from ccd_core.runs.run import Run


def wait(condition: Callable[[], bool], seconds: float = 900) -> float:
    """Wait until `condition()` is true; returns the seconds that it took."""
    began = time.time()
    while not condition():
        if time.time() - began > seconds:
            raise SystemExit("Nothing came of it in time.")
        time.sleep(0.02)
    return time.time() - began


def ended(run: Run) -> bool:
    return not control.look(run).active


def forget_embeddings() -> None:
    """Nothing is kept from one run to the next."""
    for path in Path(os.environ["CCD_HOME"]).glob("embeddings*/*"):
        path.unlink()


def kill_job(times: int, seed: int = 0) -> bool:
    """Each kill aims at a random moment of one stage, the stages in turn. One too late is drawn again."""
    rng = random.Random(seed)
    good = 0
    killed: Counter[str] = Counter()
    with small_world(train=120, val=40, epochs=4) as (workspace, config):
        undisturbed = control.start(config, workspace / "undisturbed")
        seconds = wait(lambda: ended(undisturbed))
        lasting = {"starting": 3.0} | undisturbed.state["seconds"]
        print(f"undisturbed: {undisturbed.status} after {seconds:.1f} s")
        print("| kill | in stage | after, s | then | equal |\n|---|---|---|---|---|")
        while killed.total() < times:
            forget_embeddings()
            began = time.time()
            run = control.start(config, workspace / f"killed-{killed.total()}")
            aim = list(lasting)[killed.total() % len(lasting)]
            wait(lambda run=run, aim=aim: aim in ("starting", run.state.get("stage")) or ended(run))
            time.sleep(rng.uniform(0, lasting[aim]))
            state = run.state
            if state["status"] in ("running", "queued"):
                os.kill(state["pid"], signal.SIGKILL)
            moment = time.time() - began
            wait(lambda run=run: ended(run))
            if run.status == "failed":
                stage = state.get("stage", "queued")
                killed[stage] += 1
                control.resume(run.path)
                wait(lambda run=run: ended(run))
                equal = run.status == "finished" and not differing(undisturbed, run)
                good += equal
                print(
                    f"| {killed.total()} | {stage} | {moment:.2f} | failed, then {run.status} | "
                    f"{'yes' if equal else 'NO'} |",
                    flush=True,
                )
            control.delete(run.path)
    print(f"killed in stage: {', '.join(f'{stage} {count}' for stage, count in killed.items())}")
    print(f"{good} of {times} ended with the results of the undisturbed run")
    return good == times


def started_apart(command: list[str]) -> subprocess.Popen:
    """A process in a group of its own, without output."""
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, stdout=quiet, stderr=quiet, start_new_session=True)


def times_begun(run: Run) -> int:
    """How often a process set to work on the run."""
    return run.file("log.txt").read_text().count(" classes, on ") if run.has("log.txt") else 0


def queue(count: int) -> bool:
    """Jobs of one device start in the order in which they were given, each of them once."""
    with small_world(train=120, val=40, epochs=4) as (workspace, config):
        short = {"epochs": 1, "warmup_epochs": 1}
        started = [
            control.start(
                config.changed(device=f"cpu:{number % 2}", training=short), workspace / f"{number:02d}"
            )
            for number in range(count)
        ]
        print(f"{count} jobs started; before the last one: {control.look(started[-1]).ahead}")
        wait(lambda: all(ended(run) for run in started))
        good = True
        print("| device | order of starting | each once | finished |\n|---|---|---|---|")
        for device in ("cpu:0", "cpu:1"):
            mine = [run for run in started if run.config.device == device]
            begun = [run.name for run in sorted(mine, key=lambda run: run.state["began"])]
            kept = begun == [run.name for run in mine]
            once = all(times_begun(run) == 1 for run in mine)
            done = sum(run.status == "finished" for run in mine)
            good &= kept and once and done == len(mine)
            order = "kept" if kept else ", ".join(begun)
            print(f"| {device} | {order} | {'yes' if once else 'NO'} | {done} of {len(mine)} |")
    return good


def overhead(times: int) -> bool:
    """What a job takes longer than the same run as a bare command."""
    seconds: dict[str, list[float]] = {"bare command": [], "job": []}
    first: dict[str, list[float]] = {"bare command": [], "job": [], "job, `starting`": []}
    with small_world(train=120, val=40, epochs=4) as (workspace, config):
        (workspace / "settings.yaml").write_text(config.to_yaml())
        for number in range(times):
            for kind in ("bare command", "job") if number % 2 else ("job", "bare command"):
                forget_embeddings()
                out = workspace / f"{kind.split()[0]}-{number}"
                run = Run(out, config, ())
                began = time.time()
                if kind == "job":
                    control.start(config, out)
                    wait(lambda run=run: run.status == "running")
                    first["job, `starting`"].append(time.time() - began)
                else:
                    options = ["--config", str(workspace / "settings.yaml"), "--out", str(out)]
                    started_apart([sys.executable, "-m", "ccd_core.cli", "run", *options])
                wait(lambda run=run: run.state.get("stage", "starting") != "starting")
                first[kind].append(time.time() - began)
                wait(lambda run=run: run.status == "finished")
                seconds[kind].append(time.time() - began)
    print("| | median seconds | all |\n|---|---|---|")
    rows = {f"whole run, {kind}": values for kind, values in seconds.items()}
    rows |= {f"first progress, {kind}": values for kind, values in first.items()}
    for name, values in rows.items():
        each = ", ".join(f"{value:.2f}" for value in values)
        print(f"| {name} | {statistics.median(values):.2f} | {each} |")
    pairs = [job - bare for job, bare in zip(seconds["job"], seconds["bare command"], strict=True)]
    print(f"a job takes {statistics.median(pairs):+.2f} s beside the bare command (median of {times} pairs)")
    return True


def kill_app(times: int, seed: int = 0) -> bool:
    """A person starts jobs in the browser; the app is killed at random moments and started again."""
    from playwright.sync_api import sync_playwright

    rng = random.Random(seed)
    started = 0
    with small_world(train=120, val=40, epochs=4) as (workspace, config), sync_playwright() as playwright:
        short = config.changed(training={"epochs": 1, "warmup_epochs": 1})
        Run.create(workspace / "template", short, ("none",))
        browser = open_browser(playwright)
        for number in range(times):
            port = free_port()
            server = started_apart(app_command(port, workspace))
            wait(lambda port=port: not socket.socket().connect_ex(("127.0.0.1", port)))
            page = browser.new_page()
            page.set_default_timeout(120_000)
            page.goto(f"http://127.0.0.1:{port}/train?from=template")
            name = page.get_by_role("textbox", name="Run name", exact=True)
            name.fill(f"job-{number}")
            name.press("Enter")
            page.get_by_role("button", name="Start", exact=True).click()
            killed_after = rng.uniform(0, 3)
            time.sleep(killed_after)
            os.killpg(server.pid, signal.SIGKILL)  # the app and its group, which Ctrl-C would reach, too
            server.wait()
            page.close()
            there = (workspace / f"job-{number}" / "config.yaml").exists()
            started += there
            found = "is there" if there else "was not begun"
            print(f"app killed {killed_after:.2f} s after Start was pressed: the job {found}", flush=True)
        browser.close()
        runs = [job.run for job in control.list_jobs(workspace) if job.run.name != "template"]
        wait(lambda: all(ended(run) for run in runs))
        for run in runs:
            # Killed between writing the settings and starting the process: the page shows it, one click away.
            if run.status == "created":
                print(f"{run.name} was created and not launched; started now")
                control.resume(run.path)
        wait(lambda: all(ended(run) for run in runs))
        finished = sum(run.status == "finished" for run in runs)
        twice = sum(times_begun(run) > 1 for run in runs)
    print(f"{started} jobs begun, {finished} finished, {started - finished} lost, {twice} started twice")
    return started == finished and not twice


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("kill-job", "kill-app", "queue", "overhead"))
    parser.add_argument(
        "--times", type=int, help="how often (default: 3 kills of a job, 2 of the app, 2 pairs)"
    )
    parser.add_argument("--jobs", type=int, default=6, help="how many jobs are queued")
    arguments = parser.parse_args()
    measures = {
        "kill-job": lambda: kill_job(arguments.times or 3),
        "kill-app": lambda: kill_app(arguments.times or 2),
        "queue": lambda: queue(arguments.jobs),
        "overhead": lambda: overhead(arguments.times or 2),
    }
    sys.exit(0 if measures[arguments.what]() else 1)
