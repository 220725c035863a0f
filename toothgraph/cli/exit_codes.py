"""Exit codes of the commands. docs/how-to/program.md explains them to users."""

FAILED = 1  # an error, printed in one line
UNTRUSTED = 3  # all scans are labelled, but the labels of some cannot be trusted as a whole
STOPPED = 130  # Ctrl-C, as shells expect
TERMINATED = 143  # SIGTERM, which batch systems send
