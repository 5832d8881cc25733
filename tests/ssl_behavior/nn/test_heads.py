import pytest
import torch
import torch.nn.functional as F

from ssl_behavior.errors import InputError
from ssl_behavior.nn import AnnotatorHead

BATCH, TIME, LATENT, HIDDEN, ANNOTATOR, EXTRA = 2, 11, 13, 17, 5, 3
CLASSES = {"labels": 4, "attack": 1, "behaviors": 7}


@pytest.fixture
def head():
    torch.manual_seed(0)
    return AnnotatorHead(LATENT, CLASSES, ANNOTATOR, HIDDEN)


def some_frames():
    return torch.randn(BATCH, TIME, LATENT), torch.randint(ANNOTATOR, (BATCH, TIME))


@pytest.mark.parametrize("extra", [0, EXTRA])
def test_head_equals_the_formula_frame_by_frame(extra):
    torch.manual_seed(1)
    head = AnnotatorHead(LATENT, CLASSES, ANNOTATOR, HIDDEN, extra_dim=extra)
    with torch.no_grad():
        head.annotator_matrix += torch.randn(ANNOTATOR, ANNOTATOR)
    x, annotator = some_frames()
    logits = head(x, annotator)
    first, second = (layer for layer in head.layers if isinstance(layer, torch.nn.Linear))
    for b in range(BATCH):
        for t in range(TIME):
            own, rest = x[b, t].split([LATENT - extra, extra])
            centered = own - own.mean()
            scaled = torch.cat([centered / (centered.square().mean() + 1e-5).sqrt(), rest])
            inputs = torch.cat([scaled, head.annotator_matrix[annotator[b, t]]])
            body = scaled + F.leaky_relu(second(F.leaky_relu(first(inputs), 0.01)), 0.01)
            for name, output in head.outputs.items():
                torch.testing.assert_close(logits[name][b, t], output.weight @ body + output.bias)


def test_initial_annotator_matrix_is_the_identity_and_logits_are_small(head):
    torch.testing.assert_close(head.annotator_matrix.detach(), torch.eye(ANNOTATOR))
    logits = head(*some_frames())
    assert {name: tuple(values.shape) for name, values in logits.items()} == {
        name: (BATCH, TIME, count) for name, count in CLASSES.items()
    }
    assert all(0 < values.abs().max() < 0.3 for values in logits.values())


def test_only_rows_of_present_annotators_get_gradients(head):
    x, annotator = some_frames()
    sum(values.square().sum() for values in head(x, annotator.clamp_max(2)).values()).backward()
    moved = head.annotator_matrix.grad.any(dim=1)
    assert moved[:3].all() and not moved[3:].any()


def test_a_frame_depends_on_itself_and_its_annotator_only(head):
    x, annotator = some_frames()
    other = annotator.clone()
    other[0, 3] = (annotator[0, 3] + 1) % ANNOTATOR
    changed = (head(x, annotator)["labels"] != head(x, other)["labels"]).any(-1)
    assert changed[0, 3] and changed.sum() == 1


def test_new_annotator_is_the_mean_and_changes_no_other(head):
    with torch.no_grad():
        head.annotator_matrix += torch.randn(ANNOTATOR, ANNOTATOR)
    x, annotator = some_frames()
    before, mean = head(x, annotator), head.annotator_matrix.detach().mean(0)
    new = head.add_annotator()
    assert (new, head.num_annotators) == (ANNOTATOR, ANNOTATOR + 1)
    torch.testing.assert_close(head(x, annotator), before, rtol=0.0, atol=0.0)
    torch.testing.assert_close(head.annotator_matrix[new].detach(), mean)
    head(x, torch.full_like(annotator, new))["labels"].sum().backward()
    assert head.annotator_matrix.grad[new].any() and not head.annotator_matrix.grad[:new].any()


def test_dropout_follows_the_global_seed_and_rests_outside_training():
    head = AnnotatorHead(LATENT, CLASSES, ANNOTATOR, dropout=0.5)
    x, annotator = some_frames()
    drawn = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        drawn.append(head(x, annotator)["labels"])
    torch.testing.assert_close(drawn[0], drawn[1], rtol=0.0, atol=0.0)
    assert (drawn[0] != drawn[2]).any()
    head.eval()
    torch.testing.assert_close(head(x, annotator), head(x, annotator), rtol=0.0, atol=0.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"num_annotators": 0}, "num_annotators"),
        ({"hidden_dim": 0}, "hidden_dim"),
        ({"class_counts": {"a": 0}}, "classes of 'a'"),
        ({"class_counts": {}}, "outputs"),
        ({"class_counts": {"a.b": 2}}, "dots"),
        ({"dropout": 1.0}, "dropout"),
        ({"extra_dim": LATENT}, "in_dim"),
        ({"extra_dim": -1}, "extra_dim"),
    ],
)
def test_invalid_sizes_raise(change, words):
    good = {"in_dim": LATENT, "class_counts": CLASSES, "num_annotators": ANNOTATOR}
    with pytest.raises(InputError, match=words):
        AnnotatorHead(**good | change)
