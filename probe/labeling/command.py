"""`ssl-behavior label`: search, label and correct behaviors in the browser."""

import argparse
import importlib.util
import ipaddress
import secrets
import socket
import sys
import threading
import webbrowser
import zlib
from collections.abc import Sequence
from functools import partial
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from starlette.applications import Starlette

    from probe.labeling.access import Password
    from probe.labeling.opening import Opening
    from probe.labeling.session import LabelSession

__all__ = ["main"]

_LOOPBACK = "127.0.0.1"
_PORTS = range(20_000, 32_000)
"""Ports of projects: below those that systems give out themselves."""
_PATIENCE_SECONDS = 3
"""Time that answers in progress have after Ctrl-C."""


def main(argv: Sequence[str]) -> int:
    """Run the verb until Ctrl-C; 0 on success.

    Raises
    ------
    InputError
        For every mistake of the user.
    """
    options = _parser().parse_args(argv)
    _require_packages()
    from probe.labeling.opening import Opening
    from ssl_behavior.terminal import make_console

    password = _password(options)
    opening = Opening(partial(_open, options))
    with _listener(options) as listener:
        try:
            _serve(opening, listener, password, options, make_console())
        except KeyboardInterrupt:  # the usual end
            pass
        finally:
            opening.close()
    if opening.failure is not None:
        raise opening.failure
    return 0


def _open(options: argparse.Namespace) -> "LabelSession":
    # These imports take seconds: the page is there before.
    import torch

    from probe.labeling.session import LabelSession

    # Matrices of a head are small: threads would wait for each other much longer than they compute.
    torch.set_num_threads(1)
    return LabelSession(
        options.store, options.embeddings, options.out, videos=options.videos, annotator=options.annotator,
        recordings=options.recordings, programs=options.programs, seed=options.seed,
    )  # fmt: skip


def _require_packages() -> None:
    from ssl_behavior.errors import InputError

    missing = [name for name in ("starlette", "uvicorn") if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f'the labeling application needs {" and ".join(missing)}: pip install "ssl-behavior[app]"')


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _password(options: argparse.Namespace) -> "Password | None":
    """Password for other machines, from a file or from the keyboard; None = the token of the address is enough."""
    from probe.labeling.access import Password
    from ssl_behavior.errors import InputError

    if options.password_file is None and _is_loopback(options.host):
        return None
    try:
        text = _read_password(options.password_file) if options.password_file else _asked_password(options.host)
        return Password(text)
    except InputError as error:
        where = f"--password-file {options.password_file}: " if options.password_file else ""
        raise InputError(f"{where}{error}") from None


def _read_password(path: Path) -> str:
    from ssl_behavior.errors import InputError

    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the file cannot be read ({error})") from None
    if len(lines) != 1:
        raise InputError(f"the file must hold the password in one line, and has {len(lines)}")
    return lines[0]


def _asked_password(host: str) -> str:
    from ssl_behavior.errors import InputError

    if not _is_terminal():
        raise InputError(f"--host {host} opens the application to other machines: add --password-file FILE")
    text = _ask("Password for the browser: ")
    if _ask("The same password again: ") != text:
        raise InputError("the two passwords differ")
    return text


def _is_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _ask(prompt: str) -> str:
    return getpass(prompt)


def _listener(options: argparse.Namespace) -> socket.socket:
    """Socket of the given port, or of the project's own one: a browser keeps unsent answers for each port."""
    from ssl_behavior.errors import InputError

    if options.port is not None:
        return _listening(options.host, options.port)
    own = _PORTS.start + zlib.crc32(str(options.out.resolve()).encode()) % len(_PORTS)
    try:
        return _listening(options.host, own)
    except InputError:
        return _listening(options.host, 0)


def _listening(host: str, port: int) -> socket.socket:
    """Socket that already accepts connections.

    Raises
    ------
    InputError
        If the port is taken or forbidden, or the machine has no such address.
    """
    from ssl_behavior.errors import InputError

    if not 0 <= port <= 65_535:
        raise InputError(f"--port must be between 0 and 65535 (0 = a free one), got {port}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        raise InputError(f"--host {host}: this is no name or number of this machine") from None
    listener = socket.socket(family, kind, protocol)
    try:
        if sys.platform != "win32":  # there, it would let two programs listen to one port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise InputError(
            f"--port {port} of {host} cannot be used ({error.strerror}): another program may use it; choose another "
            "port, or leave --port out for a free one"
        ) from None
    return listener


def _serve(
    opening: "Opening",
    listener: socket.socket,
    password: "Password | None",
    options: argparse.Namespace,
    console: "Console",
) -> None:
    import uvicorn

    from probe.labeling.server import application

    page = _address(options.host, listener.getsockname()[1])
    token, once = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    names = _own_names(options.host)
    app: Starlette = application(opening, token=token, hosts=names, password=password, once=once)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, ws="none", lifespan="off",
        proxy_headers=False, timeout_graceful_shutdown=_PATIENCE_SECONDS,
    )  # fmt: skip
    address = page if password else f"{page}?token={token}"
    console.print(address, soft_wrap=True, markup=False, highlight=False)
    if not _is_loopback(options.host):
        warning = "Other machines can open this address with the password. The connection is not encrypted: passwords, "
        console.print(f"{warning}videos and labels can be read on the way.", soft_wrap=True, markup=False)
    console.print("Ctrl-C ends; every answer is stored at once", soft_wrap=True, markup=False)
    if not options.no_browser:
        own = page if password else f"{page}?token={once}"
        threading.Thread(target=_open_browser, args=(own,), daemon=True).start()
    server = uvicorn.Server(config)
    opening.start(failed=partial(setattr, server, "should_exit", True))
    server.run(sockets=[listener])


def _address(host: str, port: int) -> str:
    shown = socket.gethostname() if host in ("0.0.0.0", "::") else host
    return f"http://[{shown}]:{port}/" if ":" in shown else f"http://{shown}:{port}/"


def _own_names(host: str) -> set[str]:
    """Names and numbers to which requests may be sent."""
    own = {_LOOPBACK, "localhost", "::1", host.lower()}
    return own if _is_loopback(host) else own | {socket.gethostname().lower(), socket.getfqdn().lower()}


def _open_browser(address: str) -> None:
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return
    # A browser of text, which would take the terminal and shows no videos.
    if type(browser) is not webbrowser.GenericBrowser:
        browser.open(address)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ssl-behavior label",
        description="Label a new behavior in the browser: search similar bouts, answer yes or no, correct the "
        "predicted bouts, and take the labels away. Without --host, only this machine can open the page.",
    )
    parser.add_argument("store", metavar="STORE", type=Path)
    parser.add_argument("embeddings", metavar="EMBEDDINGS", type=Path, help="embeddings of the recordings of STORE")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="PROJECT", help="folder of the answers; a project is continued"
    )
    parser.add_argument(
        "--videos", type=Path, metavar="FOLDER", help="videos named like the recordings; without it, skeletons alone"
    )
    parser.add_argument("--recordings", nargs="+", default=(), metavar="ID", help="only these (ids or globs)")
    parser.add_argument("--annotator", default="", metavar="NAME", help="your name (default: the page asks for it)")
    parser.add_argument("--programs", type=Path, metavar="FILE", help="Python file with your own task programs")
    parser.add_argument("--seed", type=int, default=0, help="of the random bouts for the estimates (default 0)")
    parser.add_argument("--no-browser", action="store_true", help="print the address, and open no browser")
    parser.add_argument(
        "--port", type=int, help="default: the same one for each PROJECT, or a free one if that is taken; 0: a free one"
    )
    parser.add_argument(
        "--host", default=_LOOPBACK, metavar="ADDRESS",
        help="address to listen on (default: 127.0.0.1, this machine alone). With another one, such as 0.0.0.0, other "
        "machines can open the page with a password of at least 12 characters; the connection is not encrypted",
    )  # fmt: skip
    parser.add_argument(
        "--password-file", type=Path, metavar="FILE",
        help="file with the password in one line (default: ask for it, if --host needs one)",
    )  # fmt: skip
    return parser
