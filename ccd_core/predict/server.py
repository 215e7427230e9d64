"""A predictor in a process of its own, so that whoever asks (the app) needs no torch and a GPU is given back.

`PredictorClient` starts the process when it is first asked, or woken before that, and talks to it in lines of JSON over its pipes; the process ends
after `IDLE_SECONDS` without a question, or with its client.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ccd_core.errors import UserError

IDLE_SECONDS = 600
# Threads that wait sleep instead of spinning: beside a browser that draws on the same cores, spinning makes a short question 20 times slower.
BESIDE_OTHERS = {"OMP_WAIT_POLICY": "passive"}


class PredictorClient:
    """Ask a run's predictor. Safe to share between threads; raises UserError with the predictor's own sentence."""

    def __init__(self, run_path: str | Path):
        self.run_path = str(run_path)
        self._process: subprocess.Popen[str] | None = None
        self._answered: subprocess.Popen[str] | None = None
        self._alarm: threading.Timer | None = None
        self._lock = threading.Lock()

    def ask(self, question: str, **arguments: Any) -> dict[str, Any]:
        """The predictor's answer to one of `QUESTIONS`; arguments and answer are what JSON can hold (paths as strings)."""
        return self._ask({"ask": question, **arguments})

    @property
    def ready(self) -> bool:
        """Whether the process runs and has its models: the next answer takes no start."""
        process = self._process
        return process is not None and process is self._answered and process.poll() is None

    def wake(self, after: float = 0) -> None:
        """Start the process without waiting for it, now or `after` seconds from now, so that the first question finds it ready."""
        if self._alarm:
            self._alarm.cancel()
        if after:
            self._alarm = threading.Timer(after, self.wake)
            self._alarm.daemon = True
            self._alarm.start()
            return
        if self._lock.acquire(blocking=False):  # who holds it has started it
            try:
                self._running()
            finally:
                self._lock.release()

    def close(self) -> None:
        with self._lock:
            if self._alarm:
                self._alarm.cancel()
            if self._process and self._process.poll() is None:
                self._process.terminate()
                self._process.wait(timeout=10)
            self._process = None

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            for _ in range(2):  # the process may have ended of idleness between two questions
                process = self._running()
                try:
                    assert process.stdin and process.stdout
                    process.stdin.write(json.dumps(question) + "\n")
                    process.stdin.flush()
                    line = process.stdout.readline()
                except (BrokenPipeError, OSError):
                    line = ""
                if line:
                    self._answered = process
                    answer = json.loads(line)
                    if "error" in answer:
                        raise UserError(answer["error"])
                    return answer
                self._process = None
        raise UserError(
            "The predictor process ended unexpectedly; its message is in the terminal that runs the app."
        )

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            command = [sys.executable, "-m", "ccd_core.predict.server", self.run_path]
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=BESIDE_OTHERS | os.environ,
            )
        return self._process


def serve(run_path: str) -> None:
    """Answer questions on standard input until it closes or nobody has asked for a while."""
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever a library prints must not mix with answers
    import ccd_core.predict  # noqa: F401  # seconds, which need not wait for the first question

    predictor = None
    while select.select([sys.stdin], [], [], IDLE_SECONDS)[0]:
        line = sys.stdin.readline()
        if not line:
            return
        question = json.loads(line)
        try:
            if predictor is None:
                from ccd_core.predict.predictor import Predictor

                predictor = Predictor.open(run_path)
            answer = QUESTIONS[question.pop("ask")](predictor, **question)
        except UserError as error:
            answer = {"error": str(error)}
        except Exception as error:
            import traceback

            traceback.print_exc()
            answer = {"error": f"The predictor failed: {type(error).__name__}: {error}."}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _predict(predictor: Any, paths: list[str]) -> dict[str, Any]:
    """{"scores": [[C] or None for an unusable image, ...], "errors": {path: sentence}}"""
    predictions = predictor.predict(paths)
    return {
        "scores": [None if one.scores is None else one.scores.tolist() for one in predictions],
        "errors": {str(one.path): one.error for one in predictions if one.error},
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


def _clip_views(predictor: Any, path: str, boxes: list[list[float]]) -> dict[str, Any]:
    """{"p": [[C] of each box, ...]}: what CLIP says of parts of an image; boxes are fractions of it, [x0, y0, x1, y1]."""
    return {"p": predictor.clip_views(path, boxes).tolist()}


# What can be asked: name -> function of the predictor and the question's arguments. A new question is one function and one entry.
QUESTIONS: dict[str, Callable[..., dict[str, Any]]] = {
    "predict": _predict,
    "attend": _attend,
    "explain": _explain,
    "cam_methods": _cam_methods,
    "clip_views": _clip_views,
}


if __name__ == "__main__":
    serve(sys.argv[1])
