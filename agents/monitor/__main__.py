"""`python -m agents.monitor`."""

from agents.monitor.policy import Monitor
from agents.role import policy_command

if __name__ == "__main__":
    policy_command(Monitor(), Monitor.__doc__ or "")()
