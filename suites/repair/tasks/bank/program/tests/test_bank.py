from bank.account import Account, InsufficientFunds
from bank.branch import Branch


def test_deposit():
    account = Account("Ann")
    account.deposit(50)
    assert account.balance == 50


def test_withdraw():
    account = Account("Ann", 80)
    account.withdraw(30)
    assert account.balance == 50


def test_withdraw_everything():
    account = Account("Ann", 80)
    account.withdraw(80)
    assert account.available() == 0


def test_withdraw_too_much():
    account = Account("Ann", 10)
    try:
        account.withdraw(11)
    except InsufficientFunds:
        assert account.balance == 10
        return
    assert False, "more than the balance was paid out"


def test_refund():
    branch = Branch()
    branch.open("Ann", 20)
    branch.refund("Ann", 5)
    assert branch.income == -5


def test_total_of_all_accounts():
    branch = Branch()
    branch.open("Ann", 20)
    branch.open("Bob", 35)
    assert branch.total() == 55


def test_richest():
    branch = Branch()
    assert branch.richest() is None
    branch.open("Ann", 20)
    branch.open("Bob", 35)
    assert branch.richest() == "Bob"
