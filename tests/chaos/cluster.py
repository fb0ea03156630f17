"""A Spark standalone cluster: a master and two workers, by default on 127.0.0.1 and 127.0.0.2."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests import SHORT_LIVED_JVM
from tests.chaos.processes import Processes, wait_until
from tests.chaos.sweeps import environment_of, spark_program

__all__ = ["HOSTS", "Cluster"]

HOSTS = ("127.0.0.1", "127.0.0.2")
_MASTER = re.compile(r"Starting Spark master at (spark://\S+)")
_REGISTERED = "Successfully registered with master"


class Cluster:
    """A cluster; `stop` ends everything that it started.

    Parameters
    ----------
    directory : Path
        Logs, and where executors work.
    options : mapping, optional
        ``spark.*`` settings of the master and the workers.
    address : str
        Where the master listens, and the driver.
    hosts : mapping, optional
        For each worker's address the words that come before its command, if any.
    """

    def __init__(
        self,
        directory: Path,
        options: Mapping[str, str] | None = None,
        *,
        address: str = HOSTS[0],
        hosts: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.directory = directory
        self.options = dict(options or {})
        self.address = address
        self.hosts = dict(hosts or dict.fromkeys(HOSTS, ()))
        self.processes = Processes(str(directory))
        self._started: list[subprocess.Popen[bytes]] = []
        self.master = ""

    def start(self) -> Cluster:
        words = ["org.apache.spark.deploy.master.Master", "--host", self.address]
        log = self._launch("master", self.address, words)
        self.master = wait_until(lambda: _MASTER.search(log.read_text()), what="the master's start")[1]
        for host in self.hosts:
            self.start_worker(host)
        return self

    def start_worker(self, host: str) -> None:
        """A worker of one core, registered."""
        words = ["org.apache.spark.deploy.worker.Worker", "--host", host, "--cores", "1", "--memory", "1g"]
        words += ["--work-dir", str(self.directory / f"work-{host}"), self.master]
        log = self._launch(f"worker-{host}", host, words)
        wait_until(lambda: _REGISTERED in log.read_text(), what=f"the start of the worker on {host}")

    def settings(self, **more: str) -> dict[str, Any]:
        """The keys of a sweep file for this cluster."""
        spark = {
            "master": self.master,
            "spark.driver.host": self.address,
            "spark.driver.bindAddress": self.address,
            "spark.executor.memory": "512m",
            "spark.executor.cores": "1",
            "spark.executor.extraJavaOptions": SHORT_LIVED_JVM,
            "spark.ui.enabled": "false",
            "spark.network.timeout": "60s",
            "spark.executor.heartbeatInterval": "5s",
            "spark.scheduler.maxRegisteredResourcesWaitingTime": "2min",  # where the machine is busy
        }
        return {"engine": "spark", "spark": {**spark, **{k.replace("_", "."): v for k, v in more.items()}}}

    def ensure(self) -> None:
        """Both workers are there: a test before may have ended one."""
        for host in self.hosts:
            if not self.processes.node(host):
                self.start_worker(host)

    def stop(self) -> None:
        self.processes.kill()
        for process in self._started:
            process.wait(30)

    def _launch(self, name: str, host: str, words: list[str]) -> Path:
        log = self.directory / f"{name}-{len(self._started)}.log"
        defaults = self.directory / "spark.conf"
        defaults.write_text("".join(f"{key} {value}\n" for key, value in self.options.items()))
        fixed = ["--port", "0", "--webui-port", "0", "--properties-file", str(defaults)]
        more = {
            "SPARK_LOCAL_IP": host,
            "SPARK_DAEMON_MEMORY": "256m",
            "SPARK_DAEMON_JAVA_OPTS": SHORT_LIVED_JVM,
        }
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*self.hosts.get(host, ()), spark_program("spark-class"), words[0], *fixed, *words[1:]],
                env=environment_of(self.processes.mark, more),
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append(process)
        return log
