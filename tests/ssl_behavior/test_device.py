import pytest
import torch

from ssl_behavior.device import choose_device, choose_precision, describe_device
from ssl_behavior.errors import InputError


def test_auto_chooses_the_available_device():
    best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert choose_device("auto").type == best
    assert choose_device("cpu") == torch.device("cpu")


def test_every_process_takes_its_own_cuda_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert choose_device("auto") == torch.device("cuda", 3)


def test_an_absent_or_unknown_device_is_a_mistake(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"`device` cuda: .*\['cpu'"):
        choose_device("cuda")
    with pytest.raises(InputError, match=r"unknown device 'tpu'; known: \['auto'"):
        choose_device("tpu")


@pytest.mark.parametrize(("supported", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_precision_follows_the_processor(monkeypatch, supported, expected):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: supported, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)
    assert choose_precision("auto", torch.device("cpu")) == expected


def test_auto_precision_without_torch_cpu_queries_is_float32(monkeypatch):
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert choose_precision("auto", torch.device("cpu")) == torch.float32


def test_precision_by_name():
    assert choose_precision("bfloat16", torch.device("cpu")) == torch.bfloat16
    assert choose_precision("float32", torch.device("cpu")) == torch.float32
    assert choose_precision("auto", torch.device("mps")) == torch.float32
    with pytest.raises(InputError, match=r"unknown precision 'float8'; known: \['auto', 'float32', 'bfloat16'\]"):
        choose_precision("float8", torch.device("cpu"))


def test_the_description_says_what_computes_and_how():
    text = describe_device(torch.device("cpu"), torch.bfloat16)
    assert f", {torch.get_num_threads()} thread" in text and text.endswith("bfloat16") and "\n" not in text
    assert "bfloat16" not in describe_device(torch.device("cpu"))
