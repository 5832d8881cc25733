"""Two gloo processes against one: values, and gradients of the mean of the processes' losses."""

import os
import socket

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from ssl_behavior.collectives import all_sum, alone, gather, is_main, rank, world_size

WORLD, ROWS, LATENT = 2, 3, 5


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def all_inputs():
    return torch.randn(WORLD * ROWS, LATENT, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def loss_of(own, everyone, count):
    """Not symmetric in the processes: own rows against all rows, over a count taken from all."""
    return (own @ everyone.T).sin().square().sum() / count


def worker(number, port, results):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(number), WORLD_SIZE=str(WORLD))
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    own = all_inputs()[number * ROWS : (number + 1) * ROWS].clone().requires_grad_()
    everyone = gather(own)
    squares = all_sum(own.square().sum())
    count = all_sum(torch.tensor(float(ROWS), dtype=torch.float64))
    loss = loss_of(own, everyone, count) * world_size() + squares
    loss.backward()
    with alone():
        lonely = (world_size(), rank(), gather(own).shape[0], is_main())
    usable = gather(own.detach()[:, 0] > 0)
    state = {
        "loss": loss.detach(),
        # DistributedDataParallel averages over processes.
        "gradient": own.grad / WORLD,
        "everyone": everyone.detach(),
        "usable": usable,
        "place": (world_size(), rank(), is_main()),
        "alone": lonely,
    }
    torch.save(state, f"{results}/{number}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def states(tmp_path_factory):
    results = tmp_path_factory.mktemp("parallel")
    mp.start_processes(worker, args=(free_port(), str(results)), nprocs=WORLD, start_method="spawn")
    return [torch.load(results / f"{number}.pt") for number in range(WORLD)]


def test_gather_joins_in_the_order_of_ranks(states):
    for state in states:
        torch.testing.assert_close(state["everyone"], all_inputs(), rtol=0, atol=0)
        assert state["usable"].dtype == torch.bool
        assert torch.equal(state["usable"], all_inputs()[:, 0] > 0)


def test_the_mean_loss_and_the_averaged_gradient_are_those_of_one_process(states):
    inputs = all_inputs().requires_grad_()
    loss = loss_of(inputs, inputs, float(len(inputs))) + inputs.square().sum()
    loss.backward()
    torch.testing.assert_close(torch.stack([state["loss"] for state in states]).mean(), loss.detach())
    torch.testing.assert_close(torch.cat([state["gradient"] for state in states]), inputs.grad)


def test_each_knows_its_place_and_alone_means_alone(states):
    assert [state["place"] for state in states] == [(2, 0, True), (2, 1, False)]
    assert [state["alone"] for state in states] == [(1, 0, ROWS, True), (1, 0, ROWS, False)]


def test_without_processes_everything_is_the_identity():
    tensor = torch.randn(3, 2)
    assert gather(tensor) is tensor and all_sum(tensor) is tensor
    assert (world_size(), rank(), is_main()) == (1, 0, True)
