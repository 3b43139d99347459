from levy.brackets import marginal_rate, tax, taxable
from levy.household import Household


def test_taxable():
    assert taxable(35000) == 25000
    assert taxable(4000) == 0


def test_tax_in_the_lowest_bracket():
    assert tax(0) == 0
    assert tax(5000) == 500


def test_tax_in_higher_brackets():
    assert tax(30000) == 4500
    assert tax(60000) == 13500


def test_marginal_rate():
    assert marginal_rate(15000) == 10
    assert marginal_rate(45000) == 25


def test_benefit():
    assert Household([20000], children=2).benefit() == 6000


def test_choice():
    assert Household([20000, 0]).choice() == "joint"


def test_income():
    assert Household([20000, 5000, 1]).income() == 25001
