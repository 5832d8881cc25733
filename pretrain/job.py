"""`ssl-behavior pretrain`: the pretraining job from the command line."""

from collections.abc import Sequence

from pretrain.options import parse_options

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Run the job.

    Raises
    ------
    InputError
        For every mistake a person can mend.
    SystemExit
        128 + the number of the signal that stopped it: 130 for Ctrl-C, 143 for SIGTERM.
    """
    options = parse_options(argv)
    # Only now what takes seconds to import: --help and mistakes in the arguments are answered at once.
    from pretrain.run import train
    from pretrain.settings import config_as_yaml, resolve_config, resolve_stores
    from ssl_behavior.terminal import make_console

    console = make_console()
    config = resolve_config(options)
    if options.print_config:
        console.print(config_as_yaml(config), end="", markup=False, highlight=False, soft_wrap=True)
        return 0
    assert options.out is not None
    train(config, resolve_stores(options), options.out, options.resume, console)
    return 0
