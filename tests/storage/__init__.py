"""Storage, against real parts: Azurite, Hadoop and a proxy that does harm."""
