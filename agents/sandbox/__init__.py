"""Runs hostile Python: evolved harnesses, and the workspaces that they leave behind. See docs/sandbox.md."""

from agents.sandbox.errors import SandboxError, SandboxFault, SandboxUnavailable
from agents.sandbox.frames import Complete, Frame, Ok, Problem, Refused, Reply, Test, out_of_budget
from agents.sandbox.harness import HarnessRun
from agents.sandbox.probe import SandboxReport, probe
from agents.sandbox.sandbox import Sandbox

__all__ = [
    "Complete",
    "Frame",
    "HarnessRun",
    "Ok",
    "Problem",
    "Refused",
    "Reply",
    "Sandbox",
    "SandboxError",
    "SandboxFault",
    "SandboxReport",
    "SandboxUnavailable",
    "Test",
    "out_of_budget",
    "probe",
]
