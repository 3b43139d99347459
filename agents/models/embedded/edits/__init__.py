"""The edit grammar: which small edits of a text could repair a mistake.

Each kind of mistake is one rule: a function that yields changes of a parsed file. Rules know nothing of odds
beyond the shares of alternatives at one place; `naturalness` and the evidence of a conversation weigh them.
"""

from agents.models.embedded.edits.derive import RULES, Edit, derive, is_solution_code

__all__ = ["RULES", "Edit", "derive", "is_solution_code"]
