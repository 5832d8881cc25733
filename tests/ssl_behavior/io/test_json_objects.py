import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssl_behavior.errors import InputError
from ssl_behavior.io.json_streams import iterate_objects

VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.sampled_from(['"', "\\", '\\"', "{}", "}{"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(
    st.text(max_size=4),
    st.dictionaries(st.text(max_size=4), st.dictionaries(st.text(max_size=4), VALUES, max_size=3), max_size=3),
    max_size=3,
)


def chunked(content, size):
    return [content[i : i + size] for i in range(0, len(content), size)]


@given(DOCUMENTS, st.integers(1, 40), st.booleans(), st.sampled_from([None, 1]))
def test_objects_equal_json_for_any_chunks(document, size, ascii_only, indent):
    content = json.dumps(document, ensure_ascii=ascii_only, indent=indent).encode()
    found = [(group, name, json.loads(text)) for group, name, text in iterate_objects(chunked(content, size))]
    assert found == [(group, name, value) for group, inner in document.items() for name, value in inner.items()]


@given(DOCUMENTS.filter(bool), st.integers(1, 40), st.data())
def test_every_truncation_raises(document, size, data):
    content = json.dumps(document).encode()
    cut = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(InputError):
        list(iterate_objects(chunked(content[:cut], size)))


@pytest.mark.parametrize(
    "text",
    ['{"a": 3}', '{"a": {"b": 3}}', '[{"a": {"b": {}}}]', '{"a": {"b": {}}} x', '{"a": {"b": {}},}', "}{", '"x"'],
)
def test_other_nestings_are_refused(text):
    with pytest.raises(InputError):
        list(iterate_objects([text.encode()]))
