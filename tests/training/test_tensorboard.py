"""TensorBoard's event files hold what metrics.csv holds."""

from __future__ import annotations

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ccd_core.training.tensorboard import EventFile


def row(epoch: int, **values) -> dict:
    return {"epoch": epoch, "phase": "main", "loss": 1.0 - 0.25 * epoch, "val_map": None} | values


def scalars(folder, name: str) -> list[tuple[int, float]]:
    events = EventAccumulator(str(folder))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_each_epoch_is_one_step_and_what_is_unknown_is_left_out(tmp_path):
    file = EventFile(tmp_path)
    file.write([row(0)])
    file.write([row(0), row(1, val_map=50.0), row(2, val_map=float("nan"))])
    assert scalars(tmp_path, "loss") == [(1, 1.0), (2, 0.75), (3, 0.5)]
    assert scalars(tmp_path, "val_map") == [(2, 50.0)]


def test_a_process_that_goes_on_replaces_the_file_of_the_one_before(tmp_path):
    EventFile(tmp_path).write([row(0), row(1)])
    EventFile(tmp_path).write([row(0), row(1), row(2)])
    assert len(list(tmp_path.iterdir())) == 1
    assert [step for step, _ in scalars(tmp_path, "loss")] == [1, 2, 3]
