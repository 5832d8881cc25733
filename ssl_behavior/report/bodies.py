"""What a drawing needs to know of a skeleton."""

from ssl_behavior.skeleton import Skeleton

__all__ = ["front_and_back"]

_FRONT = ("nose", "head", "neck", "center")
_BACK = ("tail_base", "center", "tail_middle")


def front_and_back(skeleton: Skeleton) -> tuple[int, int]:
    """The keypoints at either end of the body, front first; the first and last keypoint where roles do not tell.

    >>> from ssl_behavior.skeleton import SKELETONS
    >>> front_and_back(SKELETONS["calms21"])
    (0, 6)
    """
    first, last = (next((role for role in roles if role in skeleton.roles), None) for roles in (_FRONT, _BACK))
    if first is None or last is None or first == last:
        return 0, skeleton.num_keypoints - 1
    return skeleton.role(first), skeleton.role(last)
