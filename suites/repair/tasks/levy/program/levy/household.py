"""People who live together, and their choice of how to be taxed."""

from levy.brackets import tax, taxable

CHILD_BENEFIT = 3000
BENEFIT_LIMIT = 60000


class Household:
    def __init__(self, incomes, children=0):
        self.incomes = list(incomes)
        self.children = children

    def income(self):
        return sum(self.incomes)

    def benefit(self):
        """Return the benefit for the children, less a tenth of the income above the limit."""
        excess = 0
        if self.income() > BENEFIT_LIMIT:
            excess = (self.income() - BENEFIT_LIMIT) / 10
        return max(CHILD_BENEFIT * self.children - excess, 0)

    def separate_tax(self):
        return sum(tax(taxable(income)) for income in self.incomes)

    def joint_tax(self):
        """Return the tax if each person is taxed on an equal share of the income."""
        count = len(self.incomes)
        return count * tax(taxable(self.income() / count))

    def choice(self):
        if self.joint_tax() < self.separate_tax():
            return "joint"
        return "separate"

    def net(self):
        lowest = min(self.joint_tax(), self.separate_tax())
        return self.income() - lowest + self.benefit()
