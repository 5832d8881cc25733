"""Example of a user-defined program, as in the documentation."""

from ssl_behavior.programs import length, program


@program(units="length", invariant="translation rotation reflection swap", each_animal=False)
def tail_to_tail(pose):
    """Distance between the two tail bases."""
    return length(pose.own.tail_base - pose.other.tail_base)
