"""A branch keeps the accounts and collects the fees."""

from bank.account import Account


class Branch:
    def __init__(self):
        self.accounts = {}
        self.income = 0

    def open(self, owner, balance=0, overdraft=0):
        if owner in self.accounts:
            raise ValueError(f"{owner} has an account")
        account = Account(owner, balance, overdraft)
        self.accounts[owner] = account
        return account

    def transfer(self, source, target, amount):
        self.accounts[source].withdraw(amount)
        self.accounts[target].deposit(amount)

    def charge(self, owner, fee):
        self.accounts[owner].withdraw(fee)
        self.income += fee

    def refund(self, owner, fee):
        self.accounts[owner].deposit(fee)
        self.income -= fee

    def total(self):
        """Return the sum of all balances."""
        return sum(account.balance for account in self.accounts.values())

    def richest(self):
        """Return the owner with the highest balance."""
        best = None
        for account in self.accounts.values():
            if best is None or account.balance > best.balance:
                best = account
        return best.owner if best else None
