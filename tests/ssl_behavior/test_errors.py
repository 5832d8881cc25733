import ssl_behavior
from ssl_behavior.errors import InputError


def test_an_input_error_is_a_value_error():
    assert issubclass(InputError, ValueError) and ssl_behavior.InputError is InputError
