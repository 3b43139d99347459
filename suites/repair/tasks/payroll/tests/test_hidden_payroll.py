from payroll.deductions import deductions, share
from payroll.hours import gross, shift
from payroll.staff import Employee, payout


def test_day_shifts():
    assert shift(5, 9, pause=0.5) == 3.5
    assert shift(10, 18) == 8
    assert shift(0, 24) == 24


def test_shifts_over_midnight():
    assert shift(18, 0) == 6
    assert shift(20, 5, pause=1) == 8


def test_a_short_week():
    assert gross(0, 20) == 0
    assert gross(10, 20) == 200


def test_overtime():
    assert gross(41, 25) == 1037.5
    assert gross(40.5, 20) == 815


def test_shares():
    assert share(50, 5) == 2.5
    assert share(0, 8) == 0
    assert share(400, 25) == 100


def test_limit_of_the_health_insurance():
    assert deductions(2000)["health"] == 100
    assert deductions(9000)["health"] == 100
    assert "union" not in deductions(9000)


def test_holidays():
    employee = Employee("Ann", 20, holidays=27)
    assert employee.holidays_left(10) == 22.5
    for days in (10, 2, 8):
        employee.take_holidays(days)
    assert employee.holidays_left(10) == 2.5


def test_payout_of_those_who_worked():
    staff = [Employee("Ann", 10), Employee("Bob", 50, member=True), Employee("Cem", 20)]
    assert payout(staff, {}) == 0
    assert payout(staff, {"Ann": 30, "Cem": 40}) == 957
    assert payout(staff, {"Bob": 40}) == 1737
