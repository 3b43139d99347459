"""`python -m eventstore`: the ledger service, and the audit commands that need no server."""

from eventstore.commands import cli

if __name__ == "__main__":
    cli(prog_name="python -m eventstore")
