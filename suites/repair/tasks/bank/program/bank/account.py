"""One customer's account."""


class InsufficientFunds(Exception):
    """Raised when a withdrawal exceeds what is available."""


class Account:
    def __init__(self, owner, balance=0, overdraft=0):
        self.owner = owner
        self.balance = balance
        self.overdraft = overdraft
        self.history = []

    def available(self):
        return self.balance + self.overdraft

    def deposit(self, amount):
        if amount <= 0:
            raise ValueError("amount must be positive")
        self.balance += amount
        self.history.append(("deposit", amount))

    def withdraw(self, amount):
        if amount <= 0:
            raise ValueError("amount must be positive")
        if amount > self.available():
            raise InsufficientFunds(self.owner)
        self.balance -= amount
        self.history.append(("withdraw", amount))

    def total(self, kind):
        """Return the sum of all deposits or of all withdrawals."""
        return sum(amount for name, amount in self.history if name == kind)
