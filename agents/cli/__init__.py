"""The `ratchet` command: a thin front for the modules."""

from importlib import import_module
from typing import Any

import click

COMMANDS = {
    "run": ("agents.cli.run", "run"),
    "demo": ("agents.cli.demo", "demo"),
    "eval": ("agents.cli.evaluate", "evaluate"),
    "solve": ("agents.cli.solve", "solve"),
    "submit": ("agents.cli.submit", "submit"),
    "collect": ("agents.cli.collect", "collect"),
    "status": ("agents.cli.status", "status"),
    "approve": ("agents.cli.operate", "approve"),
    "deny": ("agents.cli.operate", "deny"),
    "revert": ("agents.cli.operate", "revert"),
    "fork": ("agents.cli.operate", "fork"),
    "cost": ("agents.cli.cost", "cost"),
    "bisect": ("agents.cli.bisect", "bisect"),
    "experiment": ("agents.cli.experiment", "experiment"),
    "rollout": ("agents.cli.rollout", "rollout"),
    "power": ("agents.cli.power", "power"),
    "doctor": ("agents.cli.doctor", "doctor"),
}
AUDIT = (
    "log", "show", "search", "diff", "blame", "versions", "tree", "checkout", "replay", "counterfactual", "report",
    "verify", "checkpoint", "index", "streams", "blob", "backup", "export", "import",
)  # fmt: skip


class LazyGroup(click.Group):
    """Imports a command when it is asked for, so that `ratchet --help` is quick."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Every command, in the order of use."""
        return [*COMMANDS, *AUDIT]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """A command by its name."""
        if name in COMMANDS:
            module, attribute = COMMANDS[name]
            found: Any = getattr(import_module(module), attribute)
            return found  # type: ignore[no-any-return]
        if name in AUDIT:
            from eventstore.audit.commands import COMMANDS as AUDITING
            from eventstore.commands import cli

            return cli.get_command(ctx, name) or next((c for c in AUDITING if c.name == name), None)
        return None


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ratchet-harness", prog_name="ratchet")
def main() -> None:
    """Ratchet: agents rewrite a harness, measure every rewrite, keep what is better, and can prove each step."""
