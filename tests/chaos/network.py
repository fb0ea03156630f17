"""Two hosts in network namespaces, each on a wire of its own that can be cut; only root may make them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

__all__ = ["Network", "two_hosts"]


class Network:
    """A bridge of this machine, and two hosts that reach it and each other.

    Attributes
    ----------
    address : str
        This machine's, on the bridge.
    hosts : dict
        For each host's address the words that run a command there.
    """

    def __init__(self) -> None:
        number = os.getpid()
        subnet = f"10.213.{number % 254 + 1}"
        self.address = f"{subnet}.1"
        self._bridge = f"hpt{number}"
        self._spaces = {f"{subnet}.{2 + each}": f"hpt{number}{'ab'[each]}" for each in range(2)}
        self.hosts = {host: ("ip", "netns", "exec", space) for host, space in self._spaces.items()}

    def open(self) -> None:
        _ip("link", "add", self._bridge, "type", "bridge")
        _ip("addr", "add", f"{self.address}/24", "dev", self._bridge)
        _ip("link", "set", self._bridge, "up")
        for host, space in self._spaces.items():
            _ip("netns", "add", space)
            _ip("link", "add", space, "type", "veth", "peer", "name", "eth0", "netns", space)
            _ip("link", "set", space, "master", self._bridge, "up")
            _ip("-n", space, "addr", "add", f"{host}/24", "dev", "eth0")
            _ip("-n", space, "link", "set", "eth0", "up")
            _ip("-n", space, "link", "set", "lo", "up")

    @contextmanager
    def cut(self, host: str) -> Iterator[None]:
        """While this is open, no packet goes to the host or comes from it."""
        _ip("link", "set", self._spaces[host], "down")
        try:
            yield
        finally:
            _ip("link", "set", self._spaces[host], "up")

    def close(self) -> None:
        for space in self._spaces.values():
            _ip("netns", "del", space, check=False)
        _ip("link", "del", self._bridge, check=False)


@contextmanager
def two_hosts() -> Iterator[Network]:
    """Made and taken away again; the test is skipped where that is not allowed."""
    if shutil.which("ip") is None:
        pytest.skip("there is no program ip here")
    network = Network()
    try:
        try:
            network.open()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network namespaces can be made here ({error.stderr.decode().strip()})")
        yield network
    finally:
        network.close()


def _ip(*words: str, check: bool = True) -> None:
    subprocess.run(["ip", *words], check=check, capture_output=True)
