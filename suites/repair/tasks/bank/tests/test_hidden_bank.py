from bank.account import Account, InsufficientFunds
from bank.branch import Branch


def fails(error, function, *args):
    try:
        function(*args)
    except error:
        return True
    return False


def test_all_of_the_overdraft_can_be_used():
    account = Account("Ann", 20, overdraft=10)
    account.withdraw(30)
    assert account.balance == -10
    assert account.available() == 0
    assert fails(InsufficientFunds, account.withdraw, 1)


def test_amounts_must_be_positive():
    account = Account("Ann", 20)
    for amount in (0, -5):
        assert fails(ValueError, account.deposit, amount)
        assert fails(ValueError, account.withdraw, amount)
    assert account.history == []


def test_history():
    account = Account("Ann", 100)
    account.deposit(5)
    account.withdraw(20)
    account.withdraw(1)
    assert account.total("deposit") == 5
    assert account.total("withdraw") == 21


def test_transfer():
    branch = Branch()
    source, target = branch.open("Ann", 50), branch.open("Bob", 1)
    branch.transfer("Ann", "Bob", 50)
    assert (source.balance, target.balance) == (0, 51)
    assert fails(InsufficientFunds, branch.transfer, "Ann", "Bob", 1)


def test_income():
    branch = Branch()
    branch.open("Ann", 100)
    branch.charge("Ann", 10)
    assert branch.income == 10
    branch.refund("Ann", 4)
    assert branch.income == 6


def test_an_overdraft_is_not_money():
    branch = Branch()
    branch.open("Ann", 10, overdraft=500)
    branch.open("Bob", 30, overdraft=7)
    assert branch.total() == 40
    assert branch.richest() == "Bob"


def test_no_accounts():
    assert Branch().total() == 0
    assert Branch().richest() is None


def test_one_account_each():
    branch = Branch()
    branch.open("Ann")
    assert fails(ValueError, branch.open, "Ann")
