"""The live channel: what runs report while they run travels to the driver, and whether to stop travels back."""

from hptune.live._client import Reporter, reporter_to
from hptune.live._files import FileServer, send_files
from hptune.live._protocol import Address, Place, Value
from hptune.live._server import LiveServer, Take

__all__ = [
    "Address",
    "FileServer",
    "LiveServer",
    "Place",
    "Reporter",
    "Take",
    "Value",
    "reporter_to",
    "send_files",
]
