from payroll.deductions import deductions, share
from payroll.hours import gross, shift
from payroll.staff import Employee, payout


def test_shift():
    assert shift(8, 17, pause=1) == 8
    assert shift(6, 11) == 5


def test_night_shift():
    assert shift(22, 6) == 8


def test_gross():
    assert gross(40, 15) == 600
    assert gross(45, 15) == 712.5


def test_share():
    assert share(250, 5) == 12.5


def test_deductions():
    assert deductions(600) == {"pension": 48, "health": 30}
    assert deductions(3000, member=True) == {"pension": 240, "health": 100, "union": 3}


def test_holidays_left():
    employee = Employee("Ann", 20)
    employee.take_holidays(4)
    assert employee.holidays_left(5) == 8.5


def test_payout():
    ann, bob = Employee("Ann", 20), Employee("Bob", 30, member=True)
    assert ann.net(40) == 696
    assert payout([ann, bob], {"Bob": 10}) == 258
