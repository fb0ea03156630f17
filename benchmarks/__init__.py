"""hptune measured against the other ways to run a grid on the same cores; see README.md beside this file."""
