"""Employees, their holidays and their pay."""

from payroll.deductions import deductions
from payroll.hours import gross


class Employee:
    def __init__(self, name, rate, holidays=30, member=False):
        self.name = name
        self.rate = rate
        self.holidays = holidays
        self.member = member
        self.taken = 0

    def take_holidays(self, days):
        self.taken += days

    def holidays_left(self, months):
        """Return the days that are earned after so many months of the year, and not taken yet."""
        return self.holidays * months / 12 - self.taken

    def net(self, hours):
        """Return what is left of the pay for a week."""
        pay = gross(hours, self.rate)
        return pay - sum(deductions(pay, self.member).values())


def payout(employees, hours):
    """Return what all employees get; `hours` holds the hours of those who worked, by name."""
    return sum(employee.net(hours[employee.name]) for employee in employees if employee.name in hours)
