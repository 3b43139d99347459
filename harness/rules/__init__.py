"""Workflow rules: what else happens at certain moments of an episode.

A rule is a module with `on` (the name of a moment), `when(run)` and `act(run)`. The moments: start (everything is
shown), step (before the model is asked), proposed (it wants an edit, not yet applied), tested (the edit was
applied and the tests ran), and then one of helped, useless, broke, by what the edit did to the tests.
"""

import importlib


class Rules:
    """The rules that harness.toml turns on, in its order."""

    def __init__(self, settings):
        self.rules = [importlib.import_module(f"rules.{name}") for name in settings["rules"]["on"]]

    def fire(self, moment, run):
        """Give every rule that waits for this moment its say."""
        for rule in self.rules:
            if rule.on == moment and rule.when(run):
                rule.act(run)
