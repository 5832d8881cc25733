import importlib
import sys
from types import SimpleNamespace

import pytest

from ssl_behavior.commands import VERBS, Verb, run_verb


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_is_there(name):
    assert callable(importlib.import_module(VERBS[name].module).main)
    assert VERBS[name].help and "\n" not in VERBS[name].help


def test_a_verb_gets_its_own_arguments_and_gives_its_exit_code(monkeypatch):
    monkeypatch.setitem(sys.modules, "a_verb", SimpleNamespace(main=lambda argv: len(argv)))
    monkeypatch.setitem(VERBS, "v", Verb("a_verb", ""))
    assert run_verb("v", ("a", "b", "c")) == 3
