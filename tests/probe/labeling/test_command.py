"""`ssl-behavior label`: options, what it says, and how it ends."""

import importlib.util
import signal
import socket
import subprocess
import sys
import webbrowser

import httpx
import pytest

from probe.labeling import command
from ssl_behavior.cli import main
from tests.probe.labeling.server_process import ROOT, ServerProcess, asked, make_data

GIVEN = ["label", "store", "embeddings", "--out", "project", "--no-browser"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("labeled"), recordings=2, frames=300)


def refused(capsys, *words):
    assert main([*GIVEN, *map(str, words)]) == 2
    return capsys.readouterr().err.removeprefix("ssl-behavior label: ").strip()


def test_help_waits_for_no_library():
    code = (
        "import sys; from ssl_behavior.cli import main; main(['label', '--help']); "
        "sys.exit(int(bool({'torch', 'numpy', 'starlette', 'uvicorn'} & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "--videos FOLDER" in done.stdout


def test_missing_packages_are_named(monkeypatch, capsys):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "uvicorn" else real(name))
    assert refused(capsys) == 'the labeling application needs uvicorn: pip install "ssl-behavior[app]"'


@pytest.fixture
def taken():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_a_port_that_is_taken(taken, capsys):
    message = refused(capsys, "--port", taken)
    assert message.startswith(f"--port {taken} of 127.0.0.1 cannot be used") and "leave --port out" in message


def test_a_project_keeps_its_port_where_it_is_free(tmp_path):
    def port_of(folder):
        options = command._parser().parse_args(["store", "embeddings", "--out", str(folder)])
        with command._listener(options) as first, command._listener(options) as second:
            return first.getsockname()[1], second.getsockname()[1]

    first, second = port_of(tmp_path / "one")
    assert first in command._PORTS and second != first
    assert port_of(tmp_path / "one")[0] == first


@pytest.mark.parametrize("port", [-1, 65_536])
def test_ports_that_are_none(port, capsys):
    assert refused(capsys, "--port", port).startswith("--port must be between 0 and 65535")


def test_hosts_that_are_none(tmp_path, capsys):
    (tmp_path / "password").write_text("correct horse battery\n")
    words = ["--password-file", tmp_path / "password", "--host"]
    assert "no name or number of this machine" in refused(capsys, *words, "no.such.host.invalid")
    assert "cannot be used" in refused(capsys, *words, "192.0.2.1")


def test_other_machines_need_a_password(monkeypatch, capsys):
    monkeypatch.setattr(command, "_is_terminal", lambda: False)
    assert "add --password-file FILE" in refused(capsys, "--host", "0.0.0.0")


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"short\n", "the password has 5 characters, and needs at least 12"),
        (b"", "must hold the password in one line, and has 0"),
        (b"correct horse\nbattery staple\n", "must hold the password in one line, and has 2"),
        (b"\xff\xfe correct horse", "the file cannot be read"),
    ],
)
def test_password_files_that_are_none(tmp_path, capsys, contents, message):
    file = tmp_path / "password"
    file.write_bytes(contents)
    told = refused(capsys, "--host", "0.0.0.0", "--password-file", file)
    assert told.startswith(f"--password-file {file}: ") and message in told
    assert "horse" not in told


def test_a_password_file_that_is_not_there(tmp_path, capsys):
    assert "the file cannot be read" in refused(capsys, "--password-file", tmp_path / "password")


@pytest.mark.parametrize(
    ("typed", "message"),
    [(["correct horse b", "correct horse c"], "the two passwords differ"), (["short", "short"], "5 characters")],
)
def test_passwords_are_asked_for_twice(monkeypatch, capsys, typed, message):
    words = iter(typed)
    monkeypatch.setattr(command, "_is_terminal", lambda: True)
    monkeypatch.setattr(command, "_ask", lambda prompt: next(words))
    assert message in refused(capsys, "--host", "0.0.0.0")


def test_no_option_takes_a_password():
    taken = [action.dest for action in command._parser()._actions]
    assert "password_file" in taken and "password" not in taken


@pytest.mark.posix
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_it_ends_when_it_is_told_to(data, tmp_path, number, code):
    with ServerProcess(*data, "--out", tmp_path / "project") as server:
        assert [line.strip() for line in server.lines][-1] == "Ctrl-C ends; every answer is stored at once"
        assert server.address.startswith("http://127.0.0.1:") and "/?token=" in server.address
        with server.browser() as client:
            assert "behaviors" in asked(client, "/api/project")
            assert client.get("/").status_code == 200
            assert server.end(number) == (code, "")


@pytest.mark.posix
def test_a_password_opens_it_to_other_machines(data, tmp_path):
    file = tmp_path / "password"
    file.write_text("correct horse battery\n")
    words = ["--host", "0.0.0.0", "--password-file", file]
    with ServerProcess(*data, "--out", tmp_path / "project", *words) as server:
        assert "token" not in server.address and any("not encrypted" in line for line in server.lines)
        port = server.address.rstrip("/").rpartition(":")[2]
        server.address = f"http://127.0.0.1:{port}/"
        with pytest.raises(httpx.HTTPStatusError, match="401"), server.browser():
            pass


class Browser:
    def __init__(self):
        self.opened = []

    def open(self, address):
        self.opened.append(address)


def test_browsers_of_text_are_not_opened(monkeypatch):
    browser = Browser()
    monkeypatch.setattr(webbrowser, "get", lambda: browser)
    command._open_browser("http://127.0.0.1:1/")
    assert browser.opened == ["http://127.0.0.1:1/"]
    monkeypatch.setattr(webbrowser, "get", lambda: webbrowser.GenericBrowser("false"))
    command._open_browser("http://127.0.0.1:1/")

    def none():
        raise webbrowser.Error("could not locate runnable browser")

    monkeypatch.setattr(webbrowser, "get", none)
    command._open_browser("http://127.0.0.1:1/")
