from levy.brackets import marginal_rate, tax, taxable
from levy.household import Household


def test_free_amount():
    assert [taxable(income) for income in (0, 9999, 10000, 10001)] == [0, 0, 0, 1]


def test_tax_at_the_limits():
    assert tax(20000) == 2000
    assert tax(50000) == 9500
    assert tax(50100) == 9540


def test_rates_at_the_limits():
    amounts = (0, 20000, 20001, 50000, 50001, 900000)
    assert [marginal_rate(amount) for amount in amounts] == [10, 10, 25, 25, 40, 40]


def test_no_children():
    assert Household([70000]).benefit() == 0
    assert Household([30000], children=1).benefit() == 3000


def test_benefit_fades_out():
    assert Household([50000, 15000], children=1).benefit() == 2500
    assert Household([100000], children=1).benefit() == 0


def test_household_copies_the_incomes():
    incomes = [1000, 2000]
    household = Household(incomes)
    incomes.append(5)
    assert household.income() == 3000


def test_choice_of_equals():
    assert Household([25000, 25000]).choice() == "separate"
    assert Household([30000, 0]).choice() == "joint"


def test_net():
    assert Household([70000]).net() == 56500
    assert Household([70000, 10000], children=2).net() == 75000
