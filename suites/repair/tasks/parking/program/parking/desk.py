"""The desk where drivers pay before they leave."""

from parking.tariff import member_price, price


class Desk:
    def __init__(self, lot, members=()):
        self.lot = lot
        self.members = set(members)
        self.paid = []

    def checkout(self, plate, time):
        """Let a car out and return what its driver has to pay."""
        minutes = self.lot.leave(plate, time)
        cents = price(minutes)
        if plate in self.members:
            cents = member_price(minutes)
        self.paid.append((plate, cents))
        return cents

    def income(self):
        return sum(cents for _, cents in self.paid)

    def visits(self, plate):
        return sum(1 for other, _ in self.paid if other == plate)

    def overdue(self, time, limit):
        """Return the cars that have stayed for the limit or longer."""
        return [plate for plate, start in self.lot.entered.items() if time - start >= limit]
