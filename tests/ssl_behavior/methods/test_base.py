import torch

from ssl_behavior.methods import LossTerms


def test_the_total_is_the_sum_of_the_terms_alone():
    terms = LossTerms({"a": torch.tensor(2.0), "b": torch.tensor(0.5)}, {"accuracy": torch.tensor(100.0)})
    assert terms.total == 2.5
