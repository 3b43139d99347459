"""`python -m agents.critic`."""

from agents.critic.policy import Critic
from agents.role import policy_command

if __name__ == "__main__":
    policy_command(Critic(), Critic.__doc__ or "")()
