"""`python -m agents.evaluator`."""

from agents.evaluator.policy import Evaluator
from agents.role import policy_command

if __name__ == "__main__":
    policy_command(Evaluator(), Evaluator.__doc__ or "")()
