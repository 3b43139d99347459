"""`python -m eventstore`: the ledger service, and the audit commands that need no server."""

from eventstore.audit.commands import COMMANDS
from eventstore.commands import cli

if __name__ == "__main__":
    for command in COMMANDS:
        cli.add_command(command)
    cli(prog_name="python -m eventstore")
