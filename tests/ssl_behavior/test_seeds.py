import subprocess
import sys

import numpy as np
import torch

from ssl_behavior.seeds import derive_seed, numpy_generator, torch_generator


def test_the_same_name_gives_the_same_numbers():
    assert numpy_generator(3, "a", 1).random() == numpy_generator(3, "a", 1).random()
    one, two = torch_generator(3, "a", 1), torch_generator(3, "a", 1)
    assert torch.equal(torch.rand(5, generator=one), torch.rand(5, generator=two))


def test_every_name_and_seed_has_its_own_stream():
    names = [(seed, *rest) for seed in range(5) for rest in (("a",), ("b",), ("a", 0), ("a", 1), ())]
    assert len({derive_seed(*name) for name in names}) == len(names)
    assert all(0 <= derive_seed(*name) < 2**63 for name in names)


def test_seeds_do_not_depend_on_the_process():
    code = "from ssl_behavior.seeds import derive_seed; print(derive_seed(7, 'windows', 11))"
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(there) == derive_seed(7, "windows", 11)


def test_global_generators_stay_as_they_were():
    torch.manual_seed(0)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    torch_generator(0, "x"), numpy_generator(0, "x")
    assert torch.equal(before, torch.get_rng_state())
    assert (numpy_before == np.random.get_state()[1]).all()  # noqa: NPY002
