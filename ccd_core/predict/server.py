"""A predictor in a process of its own, so that the app needs no torch and gives a GPU back when it is idle.

`PredictorClient` starts the process for its first question, or earlier through `wake`. The two exchange lines
of JSON over pipes. The process ends after `IDLE_SECONDS` without a question, or when its client ends. It is
ended if it owes an answer and does not work on it.
"""

from __future__ import annotations

import json
import os
import queue
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import psutil

from ccd_core.errors import UserError

IDLE_SECONDS = 600
# A process that owes an answer and has used no processor time for so long is stopped or stuck. One that
# works may take as long as it needs.
STUCK_SECONDS = 60.0
LOOK_SECONDS = 1.0
END_SECONDS = 10.0  # what a process has to end by itself
# Waiting threads sleep and do not spin. While a browser draws on the same cores, spinning makes a short
# question 20 times slower.
ENVIRONMENT = {"OMP_WAIT_POLICY": "passive"}


class PredictorClient:
    """Sends questions to the predictor process of a run. Several threads may share a client."""

    def __init__(self, run_path: str | Path):
        self.run_path = str(run_path)
        self.command = [sys.executable, "-m", "ccd_core.predict.server", self.run_path]
        self._process: subprocess.Popen[str] | None = None
        self._ready_process: subprocess.Popen[str] | None = None  # the process, once it has answered
        self._timer: threading.Timer | None = None  # of a delayed `wake`
        self._lock = threading.Lock()  # held while a process starts or answers

    def ask(self, question: str, **arguments: Any) -> dict[str, Any]:
        """Send one of `QUESTIONS` with its arguments, and wait for the answer.

        Arguments and answers must be serialisable as JSON, so paths are strings. Raises UserError with the
        sentence of the predictor, or if its process has ended or does not work.
        """
        return self._exchange({"ask": question, **arguments})

    @property
    def ready(self) -> bool:
        """Whether the process runs and has its model, so that the next answer comes without a start."""
        process = self._process
        return process is not None and process is self._ready_process and process.poll() is None

    def wake(self, after: float = 0) -> None:
        """Start the process now, or in `after` seconds, without waiting. The first answer is then faster."""
        if self._timer:
            self._timer.cancel()
        if after:
            self._timer = threading.Timer(after, self.wake)
            self._timer.daemon = True
            self._timer.start()
            return
        if self._lock.acquire(blocking=False):  # otherwise the lock's holder is already starting the process
            try:
                self._running()
            finally:
                self._lock.release()

    def close(self) -> None:
        """End the process. A later question starts a new one."""
        with self._lock:
            if self._timer:
                self._timer.cancel()
            if self._process and self._process.poll() is None:
                self._process.terminate()
                try:
                    self._process.wait(timeout=END_SECONDS)
                except subprocess.TimeoutExpired:  # one that is stopped does not hear of it
                    self._process.kill()
                    self._process.wait()
            self._process = None

    def _exchange(self, question: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            for _ in range(2):  # an idle process may have ended since the last question, so try a new one
                process = self._running()
                line = self._line_of(process, json.dumps(question) + "\n")
                if line:
                    self._ready_process = process
                    answer = json.loads(line)
                    if "error" in answer:
                        raise UserError(answer["error"])
                    return answer
                self._process = None
        raise UserError(
            "The predictor process ended unexpectedly; its message is in the terminal that runs the app."
        )

    def _line_of(self, process: subprocess.Popen[str], question: str) -> str:
        """The answer of the process to a line; empty if it has ended.

        Raises UserError, and ends the process, if it does not work for `STUCK_SECONDS`.
        """
        told: queue.Queue[str] = queue.Queue()
        threading.Thread(target=_talk, args=(process, question, told), daemon=True).start()
        worked = -1.0
        since = time.monotonic()
        while True:
            with suppress(queue.Empty):
                return told.get(timeout=LOOK_SECONDS)
            now = _processor_seconds(process.pid)
            if now != worked:
                worked = now
                since = time.monotonic()
            elif time.monotonic() - since > STUCK_SECONDS:
                process.kill()
                process.wait()
                self._process = None
                raise UserError(
                    f"The predictor process has not worked for {STUCK_SECONDS:g} seconds, as if somebody had "
                    "stopped it. It was ended, and the next question starts a new one."
                )

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=ENVIRONMENT | os.environ,
            )
        return self._process


def _talk(process: subprocess.Popen[str], question: str, told: queue.Queue[str]) -> None:
    """Write a line to the process, and put its answer into `told`; an empty one if it has ended.

    On a thread of its own, because either may wait for ever for a process that is stopped.
    """
    assert process.stdin and process.stdout
    try:
        process.stdin.write(question)
        process.stdin.flush()
        told.put(process.stdout.readline())
    except (OSError, ValueError):  # ValueError: the pipes were closed
        told.put("")


def _processor_seconds(pid: int) -> float:
    """Processor time of a process so far, with what it waits for on disks; 0 if it has ended."""
    with suppress(psutil.Error):
        return sum(psutil.Process(pid).cpu_times())
    return 0.0


class NamesClient(PredictorClient):
    """Asks CLIP about class names, in a process of `ccd_core.predict.class_names`."""

    def __init__(self) -> None:
        super().__init__("")
        self.command = [sys.executable, "-m", "ccd_core.predict.class_names"]

    def about(self, config: str, names: dict[str, list[str]]) -> dict[str, Any]:
        """What `class_names.facts` returns. config: settings as YAML. names: other words for some classes."""
        return self.ask("names", config=config, names=names)

    def about_picture(self, preset: str, path: str | Path, words: list[str]) -> list[float]:
        """The probabilities [W] that the CLIP of a preset gives the words for a picture."""
        return self.ask("picture", preset=preset, path=str(path), words=words)["p"]


def serve(run_path: str) -> None:
    """Answer questions from standard input, until it is closed or `IDLE_SECONDS` pass without a question."""
    opened: list[Any] = []

    def answer(question: dict[str, Any]) -> dict[str, Any]:
        if not opened:
            opened.append(Predictor.open(run_path))
        return QUESTIONS[question.pop("ask")](opened[0], **question)

    # Loading torch takes seconds. It is done now, before the first question comes.
    with answers_apart() as answers:
        from ccd_core.predict.predictor import Predictor

        serve_questions(answer, answers)


@contextmanager
def answers_apart() -> Iterator[TextIO]:
    """Standard output for answers alone: what libraries print goes to standard error."""
    answers = sys.stdout
    sys.stdout = sys.stderr
    try:
        yield answers
    finally:
        sys.stdout = answers


def serve_questions(answer: Callable[[dict[str, Any]], dict[str, Any]], answers: TextIO) -> None:
    """Give the answer to every line of JSON of standard input, as a line of JSON to `answers`."""
    while select.select([sys.stdin], [], [], IDLE_SECONDS)[0]:
        line = sys.stdin.readline()
        if not line:
            return
        question = json.loads(line)
        try:
            said = answer(question)
        except UserError as error:
            said = {"error": str(error)}
        except Exception as error:
            import traceback

            traceback.print_exc()
            said = {"error": f"The predictor failed: {type(error).__name__}: {error}."}
        answers.write(json.dumps(said) + "\n")
        answers.flush()


def _predict(predictor: Any, paths: list[str]) -> dict[str, Any]:
    """{"scores": one [C] for each image, or None if it is unusable; "errors": {path: sentence}; "unlike":
    whether each image is unlike the training images}.
    """
    predictions = predictor.predict(paths)
    return {
        "scores": [None if one.scores is None else one.scores.tolist() for one in predictions],
        "errors": {str(one.path): one.error for one in predictions if one.error},
        "unlike": [one.unlike for one in predictions],
    }


def _attend(predictor: Any, path: str, classes: list[int]) -> dict[str, Any]:
    """What `Predictor.attend` returns."""
    return predictor.attend(path, classes)


def _explain(predictor: Any, path: str, thresholds: list[float], warmed_up: bool = False) -> dict[str, Any]:
    """What `Predictor.explain` returns."""
    return predictor.explain(path, thresholds, warmed_up)


def _cam_methods(predictor: Any, path: str, cls: int, thresholds: list[float]) -> dict[str, Any]:
    """What `Predictor.cam_methods` returns."""
    return predictor.cam_methods(path, cls, thresholds)


def _clip_views(predictor: Any, path: str, boxes: list[list[float]], whole: bool = False) -> dict[str, Any]:
    """{"p": [V][C]}, what `Predictor.clip_views` returns."""
    return {"p": predictor.clip_views(path, boxes, whole).tolist()}


# {name of a question: function of the predictor and the question's arguments}. A new question is one function
# and one entry here.
QUESTIONS: dict[str, Callable[..., dict[str, Any]]] = {
    "predict": _predict,
    "attend": _attend,
    "explain": _explain,
    "cam_methods": _cam_methods,
    "clip_views": _clip_views,
}


if __name__ == "__main__":
    serve(sys.argv[1])
