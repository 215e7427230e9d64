"""Device and precision: what is asked for is there, or one sentence says what is."""

from __future__ import annotations

import pytest
import torch

from ccd_core.errors import UserError
from ccd_core.machine.device import _best_precision, describe, make_accelerator


@pytest.mark.parametrize(("precision", "words"), [("fp32", "fp32"), ("bf16", "bf16")])
def test_a_cpu_computes_in_the_precision_that_was_asked_for(precision, words):
    accelerator = make_accelerator("cpu", precision)
    assert accelerator.device.type == "cpu"
    assert describe(accelerator) == f"{torch.get_num_threads()} CPU threads, {words}"


def test_two_runs_in_one_process_may_ask_for_different_precisions():
    assert make_accelerator("cpu", "bf16").mixed_precision == "bf16"
    assert make_accelerator("cpu:1", "fp32").mixed_precision == "no"


def test_what_is_not_there_is_one_sentence():
    with pytest.raises(UserError, match="no device 'tpu'; use auto, cpu, cuda"):
        make_accelerator("tpu")
    if torch.cuda.is_available():
        with pytest.raises(UserError, match="there are only"):
            make_accelerator(f"cuda:{torch.cuda.device_count()}")
    else:
        with pytest.raises(UserError, match="no usable CUDA GPU here; use --device cpu"):
            make_accelerator("cuda")
        with pytest.raises(UserError, match="fp16 needs a GPU"):
            make_accelerator("cpu", "fp16")


@pytest.mark.parametrize(("has_bf16", "precision"), [(True, "bf16"), (False, "fp16")])
def test_a_gpu_that_would_emulate_bf16_computes_in_fp16(monkeypatch, has_bf16, precision):
    def supported(including_emulation: bool = True) -> bool:
        return has_bf16 or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert _best_precision(on_cpu=False) == precision
