"""`python -m agents.planner`."""

from agents.planner.policy import Planner
from agents.role import policy_command

if __name__ == "__main__":
    policy_command(Planner(), Planner.__doc__ or "")()
