"""Run without network: a guard in every Python process, and an empty network namespace.

`python -m tests.faults.no_network` makes a demo corpus of one actor and runs every stage on it. The
guard records and refuses each attempt. If the kernel permits it, the stages also run in a network
namespace without interfaces.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.builders.small_run import Small, drawn, run_command

_GUARD = '''
import os, socket, sys

def _refuse(name):
    def refused(self, address=None, *rest, **more):
        if getattr(self, "family", socket.AF_INET) == socket.AF_UNIX:
            return _before[name](self, address, *rest, **more)
        with open(os.environ["SPFEM_TEST_ATTEMPTS"], "a") as stream:
            stream.write(f"{name} {address!r} {sys.argv[:3]}\\\\n")
        raise OSError(101, "Network is unreachable")
    return refused

_before = {name: getattr(socket.socket, name) for name in ("connect", "connect_ex", "sendto")}
for _name in _before:
    setattr(socket.socket, _name, _refuse(_name))

def _resolve(host, *rest, **more):
    return _refuse("getaddrinfo")(None, host)

socket.getaddrinfo = socket.gethostbyname = socket.create_connection = _resolve
'''.replace("\\\\n", "\\n")  # fmt: skip


def guarded(
    command: Sequence[str], folder: Path
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run a command whose Python processes may not use the network; returns their attempts."""
    guard, attempts = folder / "guard", folder / "attempts.txt"
    guard.mkdir(exist_ok=True)
    (guard / "sitecustomize.py").write_text(_GUARD, encoding="utf-8")
    attempts.write_text("", encoding="utf-8")
    paths = os.pathsep.join([str(guard), str(Path.cwd()), os.environ.get("PYTHONPATH", "")])
    done = run_command(command, PYTHONPATH=paths, SPFEM_TEST_ATTEMPTS=str(attempts))
    return done, attempts.read_text(encoding="utf-8").splitlines()


def network_namespace() -> list[str]:
    """The command prefix for an empty network namespace; empty if not permitted."""
    for command in (["unshare", "--net"], ["unshare", "--user", "--map-root-user", "--net"]):
        if (
            shutil.which("unshare")
            and subprocess.run([*command, "true"], check=False).returncode == 0
        ):
            return command
    return []


def run_without_network(small: Small, folder: Path) -> tuple[int, list[str], list[str]]:
    """Run every stage without network: the number of stages, attempts and failures."""
    attempts, failed = [], []
    for stage in small.stages:
        done, tried = guarded([*network_namespace(), *small.command(stage)], folder)
        attempts += tried
        if done.returncode:
            failed.append(f"{stage}: {done.stderr[-800:]}")
    return len(small.stages), attempts, failed


def main() -> None:
    """Run the pipeline without network and print the figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small = drawn(folder)
        n, attempts, failed = run_without_network(small, folder)
    where = (
        "in a network namespace of its own"
        if network_namespace()
        else "no namespace is permitted here"
    )
    print(f"no network: {n} stages ({where}), failed {len(failed)}, attempts {len(attempts)}")
    for line in (*failed, *attempts):
        print(line)
    sys.exit(bool(failed or attempts))


if __name__ == "__main__":
    main()
