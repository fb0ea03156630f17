"""64 MiB from Azurite: hptune's fetch against azure-storage-blob's own download, in turns; time and memory.

    python benchmarks/storage.py [--rounds 9]

Each download is a process of its own, which prints its seconds (from the first request to the file's final name)
and its largest resident memory. hptune's includes listing, sha256, fsync and the manifest; the SDK's writes a file.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from azure.storage.blob import BlobServiceClient

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.storage.azurite import ACCOUNT, running_azurite  # noqa: E402

SIZE = 64 << 20
SHARED = """
import os, sys, time
from pathlib import Path
target = Path(sys.argv[1])
"""
REPORT = """
status = Path("/proc/self/status").read_text()  # getrusage's figure survives exec: it would tell the parent's
peak = int(status.split("VmHWM:")[1].split()[0])
print(seconds, peak * 1024 / 1e6)
"""
OURS = (
    SHARED
    + """
from hptune.storage import fetch, open_store
store = open_store(sys.argv[2])
import azure.storage.blob
start = time.perf_counter()
fetch(store, target, connections=8)
seconds = time.perf_counter() - start
"""
    + REPORT
)
SDK = (
    SHARED
    + """
from azure.storage.blob import BlobClient
target.mkdir()
client = BlobClient.from_connection_string(os.environ["AZURE_STORAGE_CONNECTION_STRING"], "bench", "big.bin")
start = time.perf_counter()
with open(target / "big.bin", "wb") as out:
    client.download_blob(max_concurrency=8).readinto(out)
seconds = time.perf_counter() - start
"""
    + REPORT
)


def measure(program: str, target: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Seconds and MB of one download."""
    command = [sys.executable, "-c", program, str(target), f"az://{ACCOUNT}/bench/big.bin"]
    done = subprocess.run(command, env=environment, cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603
    seconds, memory = map(float, done.stdout.split())
    return seconds, memory


def main() -> None:
    """Print medians, minima and the largest memory of both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as scratch, running_azurite(Path(scratch) / "server") as server:
        environment = {**os.environ, "AZURE_STORAGE_CONNECTION_STRING": server.connection_string}
        environment["PYTHONPATH"] = str(ROOT)
        BlobServiceClient.from_connection_string(server.connection_string).create_container("bench")
        source = Path(scratch) / "source"
        source.mkdir()
        (source / "big.bin").write_bytes(os.urandom(SIZE))
        upload = [sys.executable, "-m", "hptune.cli", "upload", str(source), f"az://{ACCOUNT}/bench"]
        subprocess.run(upload, env=environment, cwd=ROOT, check=True, capture_output=True)  # noqa: S603
        results: dict[str, list[tuple[float, float]]] = {"hptune": [], "sdk": []}
        for number in range(rounds):
            turns = [("hptune", OURS), ("sdk", SDK)]
            for name, program in turns if number % 2 else reversed(turns):
                results[name].append(measure(program, Path(scratch) / f"{name}-{number}", environment))
        for name, values in results.items():
            seconds, memory = zip(*values, strict=True)
            print(
                f"{name}: median {statistics.median(seconds):.3f} s, least {min(seconds):.3f} s,"
                f" {max(memory):.0f} MB at most"
            )


if __name__ == "__main__":
    main()
